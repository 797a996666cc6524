import { describe, expect, it } from "vitest";
import { ratios, sequenceLogRatios, tokenLogRatios } from "../../core/algo/ratio.js";
import { Random } from "../../core/random.js";
import { F, PRINTED, expectClose, f, normals, perToken, raggedBatch } from "./fixture.js";

describe("log-ratios", () => {
  it("gives F's token ratios", () => {
    const token = tokenLogRatios(F.logprobs, F.oldLogprobs);
    expectClose(token, F.logRatios, 1e-12);
    expectClose(
      ratios(token),
      [1.105171, 0.951229, 1.349859, 0.778801, 1.161834, 1.051271, 1.491825, 0.740818, 1, 1.221403],
      PRINTED,
    );
  });

  it("gives GSPO's sequence ratios of F, spread over each row's tokens", () => {
    const sequence = sequenceLogRatios(F.logprobs, F.oldLogprobs, F.mask, F.offsets);
    expectClose(sequence, perToken([0.116667, -0.05, 0.0375, 0.2]), PRINTED);
    expectClose(ratios(sequence), perToken([1.123745, 0.951229, 1.038212, 1.221403]), PRINTED);
  });

  it("agrees with the geometric mean (Π ρ_t)^(1/L) over chosen tokens", () => {
    const random = new Random(41);
    const { offsets, mask, rows, steps } = raggedBatch(random, 12);
    const logprobs = normals(random, steps, 0.5, -1);
    const old = normals(random, steps, 0.5, -1);
    const got = ratios(sequenceLogRatios(logprobs, old, mask, offsets));
    for (let i = 0; i < rows; i++) {
      let product = 1;
      let length = 0;
      for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
        if (mask[t] === 0) continue;
        product *= Math.exp(logprobs[t]!) / Math.exp(old[t]!);
        length++;
      }
      const expected = length === 0 ? 1 : product ** (1 / length);
      for (let t = offsets[i]!; t < offsets[i + 1]!; t++) expectClose([got[t]!], [expected], 1e-12);
    }
  });

  it("clamps tokens to ±20 and sequences to at most 10", () => {
    expect(Array.from(tokenLogRatios(f(0, -50, 0), f(-50, 0, -1)))).toEqual([20, -20, 1]);
    // Means 25 and −25: the clamp is on the mean, not on the tokens.
    const row = Uint32Array.of(0, 2, 4);
    const got = sequenceLogRatios(f(0, 0, -40, -10), f(-40, -10, 0, 0), new Uint8Array(4).fill(1), row);
    expect(Array.from(got)).toEqual([10, 10, -20, -20]);
  });

  it("is not moved by a masked token, and gives a row without chosen tokens ratio 1", () => {
    const mask = Uint8Array.of(1, 0, 1, 0);
    const offsets = Uint32Array.of(0, 3, 4);
    const got = sequenceLogRatios(f(-1, NaN, -2, NaN), f(-1.1, 0, -2.3, 0), mask, offsets);
    expectClose(got, [0.2, 0.2, 0.2, 0], 1e-12);
  });

  it("writes into the array given and refuses another length by name", () => {
    const out = new Float64Array(10);
    expect(tokenLogRatios(F.logprobs, F.oldLogprobs, out)).toBe(out);
    expect(ratios(out, out)).toBe(out);
    expect(() => tokenLogRatios(f(1, 2), f(1))).toThrow("tokenLogRatios: expected oldLogprobs [2], got [1]");
  });
});
