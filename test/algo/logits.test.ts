import { describe, expect, it } from "vitest";
import { logPartition, logPartitions, meanLogprobs } from "../../core/algo/logits.js";
import { Random } from "../../core/random.js";
import { lossAndGate } from "../../core/algo/arrays.js";
import { centralDifference, expectClose, expectNear, f, normals } from "./fixture.js";

describe("logits", () => {
  it("log Z is Σ exp as it stands, and its gate the probabilities that central differences find", () => {
    const random = new Random(81);
    const logits = normals(random, 5 * 4, 2);
    const out = lossAndGate(5, 4);
    logPartition(logits, out);
    const slow = (t: number, of = logits): number =>
      Math.log(of.subarray(4 * t, 4 * t + 4).reduce((sum, x) => sum + Math.exp(x), 0));
    expectClose(
      out.loss,
      [0, 1, 2, 3, 4].map((t) => slow(t)),
      1e-12,
    );
    expectClose(logPartitions(logits, 5), out.loss, 0);
    logits.forEach((x, k) => {
      const at = (y: number): number => slow(k >> 2, logits.with(k, y));
      expectNear(out.gate[k]!, centralDifference(at, x), 1e-9);
    });
  });

  it("the mean log-probability is over the actions that are allowed, and does not feel a shift", () => {
    const p = [0.5, 0.3, 0.2].map(Math.log);
    const logits = f(...p, ...p.map((x) => x + 7), p[0]!, -1e9, p[2]!);
    const allowed = Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 0, 1);
    const all = Math.log(0.5 * 0.3 * 0.2) / 3;
    const two = Math.log((0.5 / 0.7) * (0.2 / 0.7)) / 2;
    expectClose(meanLogprobs(logits, allowed, 3), [all, all, two], 1e-12);
    expectClose(meanLogprobs(logits.subarray(0, 6), null, 2), [all, all], 1e-12);
  });

  it("have as many numbers at each step", () => {
    expect(() => logPartitions(f(1, 2, 3), 2)).toThrow(
      "logPartitions: expected logits [N·P] for N = 2 steps, got [3]",
    );
    expect(() => meanLogprobs(f(1, 2), Uint8Array.of(1), 1)).toThrow(/meanLogprobs: expected allowed/);
    expect(logPartitions(f(), 0)).toHaveLength(0);
  });
});
