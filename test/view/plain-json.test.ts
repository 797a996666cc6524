import { describe, expect, it } from "vitest";
import type { RunEvent } from "../../core/progress.js";
import { createView } from "../../cli/view/create-view.js";
import { finished, header, notice, progress } from "./events.js";
import { Sink } from "./screen.js";

function shown(mode: "plain" | "json", events: readonly RunEvent[]): string[] {
  const stream = new Sink();
  const view = createView({ mode, stream, header, color: true });
  for (const event of events) view.event(event);
  view.close();
  return stream.lines;
}

describe("the plain view", () => {
  it("begins with what runs where and until when", () => {
    const [first] = shown("plain", []);
    for (const part of [
      "cartpole",
      "CartPole-v1",
      "ppo",
      "tfjs:wasm",
      "seed 11",
      "200,000",
      "475.0",
      "runs/cartpole-2025",
    ]) {
      expect(first).toContain(part);
    }
  });

  it("writes one progress line in two seconds of run time, the first and the last in any case", () => {
    const events = Array.from({ length: 101 }, (_, i) => progress({ wallSeconds: i / 10, updates: i }));
    const lines = shown("plain", events).slice(1);
    const at = lines.map((line) => Number(/updates (\d+)/.exec(line)![1]));
    expect(at).toEqual([0, 20, 40, 60, 80, 100]);
    const cut = shown("plain", events.slice(0, 26)).slice(1);
    expect(cut).toHaveLength(3);
    expect(cut[2]).toContain("updates 25");
  });

  it("writes the event's figures", () => {
    const [, line] = shown("plain", [progress()]);
    for (const part of [
      "21.4 s",
      "return 476.2",
      "143,360 (71 %)",
      "6,702/s",
      "updates 5,601",
      "version 141",
      "lag 0.96 max 2",
      "actors 4",
      "ETA 9 s",
    ]) {
      expect(line).toContain(part);
    }
  });

  it("writes notices and addresses at once, each as one line", () => {
    const lines = shown("plain", [
      {
        event: "listening",
        role: "learner",
        pid: 4711,
        address: "127.0.0.1:5001",
        http: "http://127.0.0.1:9464",
      },
      { event: "listening", role: "actor", pid: 4711, address: "", http: "" },
      progress({ wallSeconds: 1 }),
      notice("actor-2 died\nand was replaced", { level: "warn", code: "PROCESS_DIED" }),
      progress({ wallSeconds: 1.5 }),
      finished(),
    ]).slice(1);
    expect(lines[0]).toBe("learner listens on 127.0.0.1:5001 and serves http://127.0.0.1:9464/metrics");
    expect(lines[1]).toBe("actor is up");
    expect(lines[3]).toBe("warn: actor-2 died and was replaced [PROCESS_DIED]");
    expect(lines[4]).toContain("1.5 s");
    expect(lines[5]).toMatch(/^Solved: mean return 476\.2/);
    expect(lines).toHaveLength(6);
  });

  it("has no escape sequences, even where colours were asked for", () => {
    const text = shown("plain", [progress(), notice("\u001b[31mred"), finished()]).join("\n");
    expect(text).not.toContain("\u001b");
  });
});

describe("the json view", () => {
  it("writes every event as one line of JSON that reads back equal", () => {
    const events: RunEvent[] = [
      { event: "listening", role: "coordinator", pid: 4711, address: "127.0.0.1:5000", http: "" },
      progress(),
      notice("two\nlines", { level: "error", code: "INTERNAL" }),
      finished(),
    ];
    expect(shown("json", events).map((line) => JSON.parse(line) as unknown)).toEqual(events);
  });

  it("makes null of NaN and infinity", () => {
    const [line] = shown("json", [
      progress({ meanReturn100: Number.NaN, etaSeconds: Infinity, stats: { klK3: Number.NaN } }),
    ]);
    expect(JSON.parse(line!)).toMatchObject({ meanReturn100: null, etaSeconds: null, stats: { klK3: null } });
  });
});
