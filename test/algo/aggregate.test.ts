import { describe, expect, it } from "vitest";
import type { Aggregator } from "../../core/algo/aggregate.js";
import {
  addCotangent,
  addTotals,
  aggregateTotals,
  aggregateWeights,
  deltaL,
  scaleWeights,
  seqMeanTokenMean,
  seqMeanTokenSum,
  seqMeanTokenSumNorm,
  tokenMean,
  tokenSum,
  weightedLoss,
} from "../../core/algo/aggregate.js";
import { ppoClip } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import type { RaggedBatch } from "./fixture.js";
import {
  F,
  PRINTED,
  evaluate,
  expectClose,
  expectNear,
  f,
  normals,
  permuteRows,
  raggedBatch,
  shuffled,
  take,
} from "./fixture.js";

const clip = ppoClip({ low: 0.2, high: 0.2 });
const onF = evaluate(clip, F, 10);

function lossOnF(aggregator: Aggregator, loss = onF.loss): number {
  return weightedLoss(aggregateWeights(aggregator, F.mask, F.offsets), loss);
}

/** The loss from the words of P6: means and sums of rows, no weights. */
type RowLosses = readonly (readonly number[])[];
const sum = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0);
const mean = (xs: readonly number[]): number => sum(xs) / xs.length;
const REFERENCES: readonly [string, Aggregator, (rows: RowLosses) => number][] = [
  ["token-mean", tokenMean(), (rows) => mean(rows.flat())],
  ["seq-mean-token-mean", seqMeanTokenMean(), (rows) => mean(rows.filter((r) => r.length > 0).map(mean))],
  ["seq-mean-token-sum", seqMeanTokenSum(), (rows) => mean(rows.map(sum))],
  ["seq-mean-token-sum-norm", seqMeanTokenSumNorm(16), (rows) => mean(rows.map((r) => sum(r) / 16))],
  [
    "delta-l",
    deltaL({ alpha: 0.75, width: 12 }),
    (rows) => {
      const active = rows.filter((r) => r.length > 0);
      const meanLength = mean(active.map((r) => r.length));
      const x = active.map((r) => (r.length / meanLength) ** -0.75);
      return sum(active.map((r, i) => (sum(r) * x[i]!) / mean(x))) / (active.length * 12);
    },
  ],
  ["token-sum", tokenSum(1000), (rows) => sum(rows.flat()) / 1000],
];

function rowLosses(batch: RaggedBatch, loss: Float64Array): RowLosses {
  return Array.from({ length: batch.rows }, (_, i) => {
    const steps = Array.from(loss.keys()).slice(batch.offsets[i], batch.offsets[i + 1]);
    return steps.filter((t) => batch.mask[t] === 1).map((t) => loss[t]!);
  });
}

describe("aggregators on fixture F with PPO's loss", () => {
  it("give P6's five losses", () => {
    expectNear(lossOnF(tokenMean()), 0.160087);
    expectNear(lossOnF(seqMeanTokenMean()), -0.047366);
    expectNear(lossOnF(seqMeanTokenSum()), 0.400218);
    expectNear(lossOnF(seqMeanTokenSumNorm(8)), 0.050027);
    expectNear(lossOnF(deltaL({ alpha: 1, width: 8 })), -0.011368);
  });

  it("give P6's cotangents", () => {
    const cotangent = (aggregator: Aggregator): Float64Array => {
      const out = new Float64Array(10);
      addCotangent(out, aggregateWeights(aggregator, F.mask, F.offsets), onF.gate, 1);
      return out;
    };
    expectClose(
      cotangent(tokenMean()),
      [-0.09571, -0.082379, 0, 0, 0.100618, 0.091043, 0.129196, 0, 0.086602, 0],
      PRINTED,
    );
    expectClose(
      cotangent(seqMeanTokenMean()),
      [-0.079759, -0.068649, 0, 0, 0.125772, 0.056902, 0.080747, 0, 0.054126, 0],
      PRINTED,
    );
  });

  it("give Dr. GRPO's loss with and without 1/B, and ΔL's row weights", () => {
    const centred = evaluate(clip, { ...F, advantages: F.advantages.map((a) => Math.sign(a) / 2) }, 10).loss;
    expectNear(lossOnF(seqMeanTokenSumNorm(8), centred), 0.028883);
    expectNear(lossOnF(tokenSum(8), centred), 0.115533);
    // x_i = κ·B·W at the first token of each row.
    const x = (alpha: number): number[] => {
      const kappa = aggregateWeights(deltaL({ alpha, width: 8 }), F.mask, F.offsets);
      return [0, 3, 5, 9].map((t) => kappa[t]! * 4 * 8);
    };
    expectClose(x(1), [0.64, 0.96, 0.48, 1.92], PRINTED);
    expectClose(x(0.75), [0.735181, 0.996466, 0.592502, 1.67585], PRINTED);
  });
});

describe.each(REFERENCES)("%s", (_name, aggregator, reference) => {
  const random = new Random(81);
  const batches = Array.from({ length: 10 }, () => raggedBatch(random, 9));

  it("agrees with means and sums taken row by row, rows without a chosen step among them", () => {
    let empty = 0;
    for (const batch of batches) {
      const loss = normals(random, batch.steps);
      const rows = rowLosses(batch, loss);
      empty += rows.filter((r) => r.length === 0).length;
      const kappa = aggregateWeights(aggregator, batch.mask, batch.offsets);
      expectNear(weightedLoss(kappa, loss), reference(rows), 1e-12);
    }
    expect(empty).toBeGreaterThan(0);
  });

  it("gives micro-batches with the whole batch's totals exactly their part of the whole", () => {
    for (const batch of batches) {
      const loss = normals(random, batch.steps);
      const whole = aggregateWeights(aggregator, batch.mask, batch.offsets);
      const pieces: { mask: Uint8Array; offsets: Uint32Array; loss: Float64Array }[] = [];
      for (let from = 0; from < batch.rows;) {
        const to = Math.min(batch.rows, from + 1 + random.integer(3));
        const start = batch.offsets[from]!;
        const end = batch.offsets[to]!;
        pieces.push({
          mask: batch.mask.subarray(start, end),
          offsets: batch.offsets.slice(from, to + 1).map((o) => o - start),
          loss: loss.subarray(start, end),
        });
        from = to;
      }
      const totals = pieces.map((p) => aggregateTotals(aggregator, p.mask, p.offsets)).reduce(addTotals);
      const parts = pieces.map((p) => aggregateWeights(aggregator, p.mask, p.offsets, totals));
      expectClose(
        parts.flatMap((part) => Array.from(part)),
        whole,
        1e-15,
      );
      const total = sum(parts.map((part, k) => weightedLoss(part, pieces[k]!.loss)));
      expectNear(total, weightedLoss(whole, loss), 1e-12);
    }
  });

  it("does not depend on the order of rows", () => {
    for (const batch of batches) {
      const moved = permuteRows(batch, shuffled(random, batch.rows));
      const whole = aggregateWeights(aggregator, batch.mask, batch.offsets);
      const permuted = aggregateWeights(aggregator, moved.mask, moved.offsets);
      expectClose(permuted, take(whole, moved.stepsFrom), 1e-15);
    }
  });

  it("gives masked steps weight 0, so that nothing they hold reaches loss or cotangent", () => {
    for (const batch of batches) {
      const kappa = aggregateWeights(aggregator, batch.mask, batch.offsets);
      const clean = normals(random, batch.steps);
      const poisoned = clean.map((x, t) => (batch.mask[t] === 1 ? x : NaN));
      expect(weightedLoss(kappa, poisoned)).toBe(weightedLoss(kappa, clean));
      const cotangent = new Float64Array(batch.steps);
      addCotangent(cotangent, kappa, poisoned, 2);
      expectClose(
        cotangent,
        kappa.map((k, t) => 2 * k * clean[t]!),
        1e-15,
      );
      scaleWeights(kappa, poisoned);
      expect(kappa.every((k) => !Number.isNaN(k))).toBe(true);
    }
  });

  it("has, with ppoClip, the cotangent that central differences of the whole loss find", () => {
    const batch = batches[0]!;
    const { steps } = batch;
    const kappa = aggregateWeights(aggregator, batch.mask, batch.offsets);
    const oldLogprobs = normals(random, steps, 0.3, -1);
    const logprobs = normals(random, steps, 0.3, -1);
    const advantages = normals(random, steps);
    const at = (live: Float64Array) => {
      const logRatios = live.map((x, t) => x - oldLogprobs[t]!);
      return evaluate(clip, { logprobs: live, logRatios, advantages }, steps);
    };
    const cotangent = new Float64Array(steps);
    addCotangent(cotangent, kappa, at(logprobs).gate, 1);
    const shift = (t: number, h: number): number =>
      weightedLoss(kappa, at(logprobs.map((x, u) => (u === t ? x + h : x))).loss);
    for (let t = 0; t < steps; t++) {
      const ratio = Math.exp(logprobs[t]! - oldLogprobs[t]!);
      if (Math.abs(Math.abs(ratio - 1) - 0.2) < 1e-3) continue;
      expectNear(cotangent[t]!, (shift(t, 1e-5) - shift(t, -1e-5)) / 2e-5, 1e-8);
    }
  });
});

describe("relations between aggregators", () => {
  it("ΔL with α = 0 is Dr. GRPO's norm, and with α = 1 the row mean times harmonic mean length over W", () => {
    const random = new Random(82);
    const offsets = Uint32Array.of(0, 4, 5, 11);
    const mask = new Uint8Array(11).fill(1);
    const loss = normals(random, 11);
    const of = (aggregator: Aggregator): number =>
      weightedLoss(aggregateWeights(aggregator, mask, offsets), loss);
    expectNear(of(deltaL({ alpha: 0, width: 8 })), of(seqMeanTokenSumNorm(8)), 1e-14);
    const harmonic = 3 / (1 / 4 + 1 + 1 / 6);
    expectNear(of(deltaL({ alpha: 1, width: 8 })), (of(seqMeanTokenMean()) * harmonic) / 8, 1e-14);
  });

  it("gives a batch without any chosen step weight 0 everywhere", () => {
    for (const [, aggregator] of REFERENCES) {
      const kappa = aggregateWeights(aggregator, new Uint8Array(3), Uint32Array.of(0, 2, 3));
      expect(Array.from(kappa)).toEqual([0, 0, 0]);
    }
  });

  it("refuses totals that do not cover the rows, and lengths that do not fit", () => {
    const none = { tokens: 0, rows: 0, activeRows: 0, rowWeights: 0 };
    expect(() => aggregateWeights(tokenMean(), F.mask, F.offsets, none)).toThrow(
      "aggregateWeights: expected a positive denominator for token-mean, got 0",
    );
    expect(() => weightedLoss(f(1, 2), f(1))).toThrow("weightedLoss: expected loss [2], got [1]");
  });
});
