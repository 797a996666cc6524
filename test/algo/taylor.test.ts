import { describe, expect, it } from "vitest";
import { secondOrderAdvantages, type TaylorInput } from "../../core/algo/taylor.js";
import { Random } from "../../core/random.js";
import { expectClose, f, normals, raggedBatch } from "./fixture.js";

const oneRow = (ratios: number[], advantages: number[]) => ({
  logRatios: Float64Array.from(ratios, Math.log),
  advantages: Float64Array.from(advantages),
  mask: new Uint8Array(ratios.length).fill(1),
  offsets: Uint32Array.of(0, ratios.length),
});
const UNCLIPPED = { clipEpsilon: 10 };

/** Objective of the chosen steps of each row, the sums as they stand. */
function slowObjective(input: TaylorInput, gamma: number): number {
  const { logRatios, advantages, mask, offsets } = input;
  let total = 0;
  for (let i = 0; i + 1 < offsets.length; i++) {
    const steps: number[] = [];
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) if (mask[t] === 1) steps.push(t);
    const d = steps.map((t) => Math.exp(logRatios[t]!) - 1);
    steps.forEach((t, k) => {
      total += d[k]! * advantages[t]!;
      for (let j = 0; j < k; j++) total += gamma ** (k - j) * d[j]! * d[k]! * advantages[t]!;
    });
  }
  return total;
}

describe("advantages of second order", () => {
  it("are the catalogue's weights where one score comes at the end", () => {
    const ratios = [2, 3, 4];
    const found = secondOrderAdvantages(oneRow(ratios, [1, 1, 1]), { ...UNCLIPPED, gamma: 1 });
    expectClose(
      found.map((a, t) => ratios[t]! * a),
      [12, 15, 16],
      1e-12,
    );
  });

  it("are the catalogue's cotangents where discounts count from the start, advantages being discounted themselves", () => {
    const ratios = [1.1, 0.8, 1.3];
    const discounted = [0.5, -0.2, 1].map((a, t) => a * 0.9 ** t);
    const found = secondOrderAdvantages(oneRow(ratios, discounted), { ...UNCLIPPED, gamma: 1 });
    expectClose(
      found.map((a, t) => ratios[t]! * a),
      [0.8569, 0.036, 0.9477],
      5e-5,
    );
  });

  it("are of the objective whose means the catalogue gives in practice", () => {
    const row = oneRow([1.1, 0.8, 1.3], [0.5, -0.2, 1]);
    const first = slowObjective(row, 0) / 3;
    expectClose([first, slowObjective(row, 0.9) / 3 - first], [0.13, -0.0087], 5e-5);
  });

  it("times the ratio are the slope of the objective over chosen steps", () => {
    const random = new Random(4);
    const { steps, mask, offsets } = raggedBatch(random, 6);
    const logRatios = normals(random, steps).map((x) => 0.3 * x);
    const input = { logRatios, advantages: normals(random, steps), mask, offsets };
    const found = secondOrderAdvantages(input, { ...UNCLIPPED, gamma: 0.9 });
    const h = 1e-5;
    for (let t = 0; t < steps; t++) {
      const at = (by: number): number => {
        const moved = logRatios.slice();
        moved[t]! += by;
        return slowObjective({ ...input, logRatios: moved }, 0.9);
      };
      expect((at(h) - at(-h)) / (2 * h)).toBeCloseTo(mask[t]! * Math.exp(logRatios[t]!) * found[t]!, 7);
    }
  });

  it("bound what other steps' ratios add, and are of first order without pairs", () => {
    const row = oneRow([100, 1], [1, 1]);
    // d_0 is held at 0.2, and d_1 = 0.
    expectClose(secondOrderAdvantages(row, { gamma: 1, clipEpsilon: 0.2 }), [1, 1.2], 1e-12);
    expectClose(secondOrderAdvantages(row, { gamma: 0, clipEpsilon: 0.2 }), f(1, 1), 0);
  });
});
