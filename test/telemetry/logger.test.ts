import { describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { createLogger, type LogLevel } from "../../core/telemetry/logger.js";

function logged(
  level: LogLevel,
  write: (logger: ReturnType<typeof createLogger>) => void,
): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger({ role: "learner", level, destination: { write: (line) => lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("createLogger", () => {
  it("writes one JSON object a line with role, level by name, ISO time, message and fields", () => {
    const before = Date.now();
    const [line] = logged("info", (logger) => logger.info({ policyVersion: 3 }, "published"));
    expect(line).toMatchObject({
      role: "learner",
      level: "info",
      msg: "published",
      policyVersion: 3,
      pid: process.pid,
    });
    const time = line!["time"] as string;
    expect(new Date(time).toISOString()).toBe(time);
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
  });

  it("leaves out what is below its level, and everything where silent", () => {
    const all = (logger: ReturnType<typeof createLogger>): void => {
      logger.debug("d");
      logger.info("i");
      logger.warn("w");
      logger.error("e");
    };
    expect(logged("warn", all).map((line) => line["level"])).toEqual(["warn", "error"]);
    expect(logged("silent", all)).toEqual([]);
  });

  it("writes errors with their code, message and stack", () => {
    const [line] = logged("info", (logger) =>
      logger.error({ err: new SkeinError("SHAPE", "expected 4, got 3") }),
    );
    expect(line!["err"]).toMatchObject({ code: "SHAPE", message: "expected 4, got 3" });
    expect((line!["err"] as { stack: string }).stack).toContain("logger.test");
  });
});
