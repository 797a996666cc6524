import { describe, expect, it } from "vitest";
import { aggregateWeights, scaleWeights, tokenMean, weightedLoss } from "../../core/algo/aggregate.js";
import type { ImportanceBound, ImportanceLevel } from "../../core/algo/importance.js";
import { importanceWeights } from "../../core/algo/importance.js";
import { ppoClip } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import {
  F,
  PRINTED,
  evaluate,
  expectClose,
  expectNear,
  f,
  normals,
  perToken,
  permuteRows,
  raggedBatch,
  shuffled,
  take,
} from "./fixture.js";

const NONE: ImportanceBound = { kind: "none" };
const LEVELS: readonly ImportanceLevel[] = ["token", "row-sum", "row-mean"];
const BOUNDS: readonly ImportanceBound[] = [
  NONE,
  { kind: "truncate", high: 1.4 },
  { kind: "clamp", low: 0.8, high: 1.4 },
  { kind: "mask", low: 0.8, high: 1.4 },
];

function weightsF(level: ImportanceLevel, bound: ImportanceBound): Float64Array {
  return importanceWeights(F, { level, bound, batchNormalize: false });
}

/** Token-mean PPO loss of F with the weights folded into κ. */
function lossF(weights: Float64Array): number {
  const kappa = aggregateWeights(tokenMean(), F.mask, F.offsets);
  scaleWeights(kappa, weights);
  return weightedLoss(kappa, evaluate(ppoClip({ low: 0.2, high: 0.2 }), F, 10).loss);
}

describe("importance weights on fixture F", () => {
  it("give TIS at token level with C = 2", () => {
    const weights = weightsF("token", { kind: "truncate", high: 2 });
    const expected = [1.020201, 0.970446, 2, 1, 1.051271, 0.904837, 1, 0.548812, 1.01005, 1];
    expectClose(weights, expected, PRINTED);
    expectNear(lossF(weights), 0.022772);
  });

  it("give decoupled PPO's weights, whose largest lies below the cap of 5", () => {
    const weights = weightsF("token", { kind: "truncate", high: 5 });
    const expected = [1.020201, 0.970446, 2.459603, 1, 1.051271, 0.904837, 1, 0.548812, 1.01005, 1];
    expectClose(weights, expected, PRINTED);
    expectNear(lossF(weights), -0.024992);
  });

  it("give the row sums, raw and truncated", () => {
    expectClose(weightsF("row-sum", NONE), perToken([2.43513, 1.051271, 0.501576, 1]), PRINTED);
    const truncated = weightsF("row-sum", { kind: "truncate", high: 2 });
    expectNear(lossF(truncated), -0.300682);
  });

  it("give the row means: exp(.89/3), exp(.05/2), exp(−.69/4), 1", () => {
    const expected = perToken([Math.exp(0.89 / 3), Math.exp(0.025), Math.exp(-0.69 / 4), 1]);
    expectClose(weightsF("row-mean", NONE), expected, 1e-12);
  });

  it("give IcePop: the third token is masked", () => {
    const weights = weightsF("token", { kind: "mask", low: 0.5, high: 2 });
    expect(weights[2]).toBe(0);
    expectNear(lossF(weights), 0.230617);
  });
});

describe("properties of importance weights", () => {
  it("agree with products of probability ratios on random rows, for every level and bound", () => {
    const random = new Random(91);
    for (const level of LEVELS) {
      for (const bound of BOUNDS) {
        const { offsets, mask, rows, steps } = raggedBatch(random, 12);
        const oldLogprobs = normals(random, steps, 0.3, -1);
        const behaviorLogprobs = normals(random, steps, 0.3, -1);
        const input = { oldLogprobs, behaviorLogprobs, mask, offsets };
        const weights = importanceWeights(input, { level, bound, batchNormalize: false });
        const ratio = (t: number): number => Math.exp(oldLogprobs[t]!) / Math.exp(behaviorLogprobs[t]!);
        for (let i = 0; i < rows; i++) {
          const all = Array.from(mask.keys()).slice(offsets[i], offsets[i + 1]);
          const chosen = all.filter((t) => mask[t] === 1);
          const product = chosen.reduce((p, t) => p * ratio(t), 1);
          for (const t of all) {
            const power = level === "row-mean" ? product ** (1 / chosen.length) : product;
            const raw = level === "token" ? ratio(t) : power;
            expectNear(weights[t]!, mask[t] === 0 ? 0 : bounded(raw, bound), 1e-10);
          }
        }
      }
    }
  });

  it("are all 1 where the behaviour policy is the proximal one", () => {
    for (const level of LEVELS) {
      for (const bound of BOUNDS) {
        const input = { ...F, behaviorLogprobs: F.oldLogprobs };
        const weights = importanceWeights(input, { level, bound, batchNormalize: true });
        expectClose(weights, new Float64Array(10).fill(1), 1e-15);
      }
    }
  });

  it("average to 1 after batch normalisation: over tokens at token level, over rows at row level", () => {
    const bound: ImportanceBound = { kind: "truncate", high: 2 };
    const token = importanceWeights(F, { level: "token", bound, batchNormalize: true });
    expectNear(token.reduce((s, w) => s + w, 0) / 10, 1, 1e-12);
    const row = importanceWeights(F, { level: "row-sum", bound, batchNormalize: true });
    expectNear((row[0]! + row[3]! + row[5]! + row[9]!) / 4, 1, 1e-12);
    // A row without a chosen step is no row to average over.
    const mask = Uint8Array.from(F.mask, (m, t) => (t === 9 ? 0 : m));
    const three = importanceWeights({ ...F, mask }, { level: "row-sum", bound, batchNormalize: true });
    expectNear((three[0]! + three[3]! + three[5]!) / 3, 1, 1e-12);
    // Only the scale changes.
    expectNear(token[0]! / token[1]!, Math.exp(0.05), 1e-12);
  });

  it("stay zero, not NaN, where a mask leaves nothing to normalise", () => {
    const bound: ImportanceBound = { kind: "mask", low: 50, high: 60 };
    const weights = importanceWeights(F, { level: "token", bound, batchNormalize: true });
    expect(Array.from(weights)).toEqual(new Array(10).fill(0));
  });

  it("clamp the log weight to ±20, the row sum as a whole", () => {
    const input = {
      oldLogprobs: f(0, 0, -30, -30),
      behaviorLogprobs: f(-15, -15, 0, 0),
      mask: new Uint8Array(4).fill(1),
      offsets: Uint32Array.of(0, 2, 4),
    };
    const weights = importanceWeights(input, { level: "row-sum", bound: NONE, batchNormalize: false });
    const [high, low] = [Math.exp(20), Math.exp(-20)];
    expect(Array.from(weights)).toEqual([high, high, low, low]);
  });

  it("are not moved by masked steps or by the order of rows", () => {
    const random = new Random(92);
    const batch = raggedBatch(random, 10);
    const oldLogprobs = normals(random, batch.steps, 0.3, -1);
    const behaviorLogprobs = normals(random, batch.steps, 0.3, -1);
    const moved = permuteRows(batch, shuffled(random, 10));
    for (const level of LEVELS) {
      const options = { level, bound: NONE, batchNormalize: true };
      const base = importanceWeights({ oldLogprobs, behaviorLogprobs, ...batch }, options);
      const poisoned = behaviorLogprobs.map((x, t) => (batch.mask[t] === 1 ? x : NaN));
      expect(importanceWeights({ oldLogprobs, behaviorLogprobs: poisoned, ...batch }, options)).toEqual(base);
      const permuted = importanceWeights(
        {
          oldLogprobs: take(oldLogprobs, moved.stepsFrom),
          behaviorLogprobs: take(behaviorLogprobs, moved.stepsFrom),
          mask: moved.mask,
          offsets: moved.offsets,
        },
        options,
      );
      expectClose(permuted, take(base, moved.stepsFrom), 1e-12);
    }
  });
});

function bounded(weight: number, bound: ImportanceBound): number {
  if (bound.kind === "none") return weight;
  if (bound.kind === "truncate") return Math.min(weight, bound.high);
  if (bound.kind === "clamp") return Math.max(bound.low, Math.min(weight, bound.high));
  return weight >= bound.low && weight <= bound.high ? weight : 0;
}
