import { describe, expect, it } from "vitest";
import { aggregateWeights, seqMeanTokenMean, weightedLoss } from "../../core/algo/aggregate.js";
import { lossAndGate } from "../../core/algo/arrays.js";
import { geometricMeanClip } from "../../core/algo/geometric-mean.js";
import { proximalLogprobs } from "../../core/algo/proximal.js";
import { drawFrom, resamplingProbabilities, type Resampling } from "../../core/algo/resampling.js";
import { ppoClip } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import { F, PRINTED, expectClose, expectNear, f, normals, raggedBatch } from "./fixture.js";

describe("the proximal policy between two versions", () => {
  it("lies at (v_p − v_b)/(v_θ − v_b): versions 6, 9, 10", () => {
    const found = proximalLogprobs({
      logprobs: F.oldLogprobs.map((old, t) => old + F.logRatios[t]!),
      behaviorLogprobs: F.behaviorLogprobs,
      policyLags: new Float64Array(10).fill(3),
    });
    const printed = [-0.43, -1.23, -0.6, -1.0875, -0.3, -1.4375, -0.5, -0.775, -1.0025, -0.45];
    expectClose(found, printed, 1e-12);
  });

  it("is the behaviour policy where no version lies between", () => {
    const policyLags = new Float64Array(10);
    expect(proximalLogprobs({ ...F, logprobs: new Float64Array(10).fill(-3), policyLags })).toEqual(
      F.behaviorLogprobs,
    );
  });
});

describe("a clip around a centre", () => {
  const centres = f(0.1, -0.05, 0.3).map(Math.exp);
  const logRatios = f(0.15, -0.3, 0.6);
  const input = { logprobs: logRatios, logRatios };

  it("clips where the window of each step ends", () => {
    const out = lossAndGate(3);
    ppoClip({ low: 0.2, high: 0.2 }, centres)({ ...input, advantages: f(1, 1, 1) }, out);
    expectClose(out.loss, [-1.161834, -0.740818, -1.549859], PRINTED);
    expectNear(out.loss.reduce((a, b) => a + b, 0) / 3, -1.150837);
    expectClose(out.gate, [-1.161834, -0.740818, 0], PRINTED);
    ppoClip({ low: 0.2, high: 0.2 }, centres)({ ...input, advantages: f(-1, -1, -1) }, out);
    expectClose(out.loss, [1.161834, 0.751229, 1.822119], PRINTED);
    expectClose(out.gate, [1.161834, 0, 1.822119], PRINTED);
  });

  it("is PPO's where every centre is 1", () => {
    const random = new Random(5);
    const given = {
      logprobs: logRatios,
      logRatios: normals(random, 40, 0.4),
      advantages: normals(random, 40, 1),
    };
    const [around, plain] = [lossAndGate(40), lossAndGate(40)];
    const many = { ...given, logprobs: given.logRatios };
    ppoClip({ low: 0.2, high: 0.28 }, new Float64Array(40).fill(1))(many, around);
    ppoClip({ low: 0.2, high: 0.28 })(many, plain);
    expect(around).toEqual(plain);
  });
});

describe("the geometric mean of a row's ratios", () => {
  const WINDOW = { low: 0.4, high: 0.4 };

  it("has the ratios and the loss of the worked example", () => {
    const out = lossAndGate(10);
    geometricMeanClip({ ...F, logprobs: F.oldLogprobs.map((old, t) => old + F.logRatios[t]!) }, WINDOW, out);
    const ratios = [0, 3, 5, 9].map((t) => -out.loss[t]! / F.advantages[t]!);
    expectClose(ratios, [1.123745, 0.951229, 1.038212, 1.221403], PRINTED);
    const kappa = aggregateWeights(seqMeanTokenMean(), F.mask, F.offsets);
    expectNear(weightedLoss(kappa, out.loss), -0.077013);
  });

  it("agrees with products of clipped ratios, and its gate with central differences, on random rows", () => {
    const random = new Random(17);
    const { offsets, mask, rows, steps } = raggedBatch(random, 40);
    const [old, logprobs] = [normals(random, steps, 0.5, -1), normals(random, steps, 0.5, -1)];
    const ofRows = normals(random, rows, 1);
    ofRows[2] = 0;
    const advantages = new Float64Array(steps);
    for (let i = 0; i < rows; i++) advantages.fill(ofRows[i]!, offsets[i], offsets[i + 1]);
    /** mean over rows with a chosen step of −A·(Π clipped ratio)^(1/L) */
    const slow = (live: Float64Array): number => {
      const losses: number[] = [];
      for (let i = 0; i < rows; i++) {
        const chosen = Array.from(mask.keys())
          .slice(offsets[i], offsets[i + 1])
          .filter((t) => mask[t] === 1);
        if (chosen.length === 0) continue;
        const a = ofRows[i]!;
        const product = chosen.reduce((p, t) => {
          const ratio = Math.exp(live[t]!) / Math.exp(old[t]!);
          return p * (a > 0 ? Math.min(ratio, Math.exp(0.4)) : Math.max(ratio, Math.exp(-0.4)));
        }, 1);
        losses.push(-a * product ** (1 / chosen.length));
      }
      return losses.reduce((x, y) => x + y, 0) / losses.length;
    };
    const kappa = aggregateWeights(seqMeanTokenMean(), mask, offsets);
    const out = lossAndGate(steps);
    geometricMeanClip({ logprobs, oldLogprobs: old, advantages, mask, offsets }, WINDOW, out);
    expectNear(weightedLoss(kappa, out.loss), slow(logprobs), 1e-12);
    const [h, clipped] = [1e-6, [] as number[]];
    for (let t = 0; t < steps; t++) {
      const moved = (by: number): Float64Array => logprobs.map((x, k) => (k === t ? x + by : x));
      const slope = (slow(moved(h)) - slow(moved(-h))) / (2 * h);
      expectNear(kappa[t]! * out.gate[t]!, slope, 1e-8);
      if (mask[t] === 1 && advantages[t] !== 0 && slope === 0) clipped.push(t);
    }
    expect(clipped.length).toBeGreaterThan(3);
  });
});

describe("resampling by score", () => {
  const scores = f(0.9, -0.4, 0.1, 0.6);
  const KINDS: readonly Resampling[] = ["best", "best-random", "best-worst", "pow", "max-min", "max-random"];

  it.each([
    ["pow", [0.604478, 0.119403, 0.007463, 0.268657]],
    ["max-min", [0.5, 0.5, 0, 0]],
    ["max-random", [0.571429, 0.142857, 0.142857, 0.142857]],
    ["best-random", [0.5, 0.166667, 0.166667, 0.166667]],
    ["best-worst", [0.5, 0.5, 0, 0]],
    ["best", [1, 0, 0, 0]],
  ] as const)("%s", (kind, expected) => {
    expectClose(resamplingProbabilities(scores, kind, 2), expected, PRINTED);
  });

  it("treats equal scores alike, whatever the order", () => {
    expectClose(resamplingProbabilities(f(1, 0, 1, 0), "best-random", 2), [0.25, 0.25, 0.25, 0.25], PRINTED);
    expectClose(
      resamplingProbabilities(f(1, 0, 0, 0, 0), "best-worst", 2),
      [0.5, ...[1, 1, 1, 1].map((x) => x / 8)],
      PRINTED,
    );
    for (const kind of KINDS) {
      for (const even of [0, 1, -3]) {
        const same = new Float64Array(5).fill(even);
        expectClose(resamplingProbabilities(same, kind, 2), new Float64Array(5).fill(0.2), 1e-12);
      }
      expectClose(resamplingProbabilities(f(7), kind, 2), [1], 1e-12);
    }
  });

  it("draws each as often as its probability says, and what has none never", () => {
    const random = new Random(3);
    const counts = [0, 0, 0];
    for (let k = 0; k < 20_000; k++) counts[drawFrom(f(0.7, 0, 0.3), random.uniform())]!++;
    // Standard deviation of the share: √(0.21/20000) = 0.0032.
    expect(Math.abs(counts[0]! / 20_000 - 0.7)).toBeLessThan(0.013);
    expect(counts[1]).toBe(0);
    expect(drawFrom(f(0.5, 0.5 - 1e-12, 0), 1 - 1e-16)).toBe(1);
    expect(() => drawFrom(f(0, 0), 0.5)).toThrow(/expected a probability above 0/);
  });
});
