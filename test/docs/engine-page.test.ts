import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TRACED_KERNELS } from "../../core/engine/onnx/trace.js";

describe("docs/engine.md", () => {
  it("lists the kernels that can be traced, and no others", () => {
    const page = readFileSync(new URL("../../docs/engine.md", import.meta.url), "utf8");
    const rows = page.split("\n").filter((line) => /^\| `\w+\.ts`/.test(line));
    const listed = rows.flatMap((row) => [...row.matchAll(/`(\w+)`/g)].map((match) => match[1]!));
    expect(listed.sort()).toEqual([...TRACED_KERNELS]);
  });
});
