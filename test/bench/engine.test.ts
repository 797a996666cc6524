import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/bench/main.js", import.meta.url));

interface Ratio {
  readonly name: string;
  readonly ours: number | null;
  readonly peer: number | null;
  readonly ratio: number | null;
}

function bench(...args: string[]): { code: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    timeout: 100_000,
  });
  return { code: status, lines: stdout.trim().split("\n"), stderr };
}

describe("bench engine", () => {
  it("measures Skein alone where there is no Python, says why, and ends with one line of JSON", () => {
    const args = [
      "--quick",
      "--json",
      "--engine",
      "tfjs:wasm",
      "--only",
      "mlp",
      "--python",
      "/no/such/python",
    ];
    const { code, lines, stderr } = bench("engine", ...args);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(lines.join("\n")).toContain("no peer: PyTorch by /no/such/python");
    const { ratios } = JSON.parse(lines[lines.length - 1]!) as { ratios: Ratio[] };
    expect(ratios.map(({ name }) => name)).toEqual([
      "memory over 100 mlp updates of 256 rows (MiB at end / at start)",
      "mlp update 256 rows (ms)",
      "mlp actor forward 8 rows (ms)",
      "mlp actor forward 8 rows, NumPy to NumPy (ms)",
    ]);
    for (const { name, ours, peer, ratio } of ratios) {
      expect(ours, name).toBeGreaterThan(0);
      if (name.startsWith("memory")) expect(ratio).toBeCloseTo(ours! / peer!, 4);
      else expect([peer, ratio], name).toEqual([null, null]);
    }
  });

  it("refuses an engine that does not exist, naming those that do", () => {
    const { code, stderr } = bench("engine", "--engine", "onnx:abacus");
    expect(code).toBe(1);
    expect(stderr).toContain("onnx:abacus");
    expect(stderr).toContain("tfjs:wasm");
  });
});
