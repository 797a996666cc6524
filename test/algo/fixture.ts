/** What the tests of core/algo share: fixture F of methods/catalogue-a.md §0, random ragged batches, comparisons. */
import { expect } from "vitest";
import type { Random } from "../../core/random.js";
import type { LossAndGate } from "../../core/algo/arrays.js";
import { lossAndGate } from "../../core/algo/arrays.js";
import { standardizeByGroup } from "../../core/algo/group-statistics.js";

/** One prompt, G = 4 rows of L = [3, 2, 4, 1] tokens, N = 10, rewards 1, 0, 0, 1. */
const oldLogprobs = f(-0.5, -1.2, -0.6, -0.9, -0.4, -1.5, -0.8, -0.7, -1.0, -0.6);
const logRatios = f(0.1, -0.05, 0.3, -0.25, 0.15, 0.05, 0.4, -0.3, 0, 0.2);
const refMinusOld = f(-0.02, 0.03, 0.05, 0, -0.1, 0.04, -0.06, 0.08, 0.02, 0.1);
const oldMinusBehavior = f(0.02, -0.03, 0.9, 0, 0.05, -0.1, 0, -0.6, 0.01, 0);
const rewards = f(1, 0, 0, 1);
const offsets = Uint32Array.of(0, 3, 5, 9, 10);
const groups = Uint32Array.of(0, 0, 0, 0);

export const F = {
  offsets,
  mask: new Uint8Array(10).fill(1),
  groups,
  rewards,
  oldLogprobs,
  logRatios,
  logprobs: oldLogprobs.map((x, t) => x + logRatios[t]!),
  refLogprobs: oldLogprobs.map((x, t) => x + refMinusOld[t]!),
  behaviorLogprobs: oldLogprobs.map((x, t) => x - oldMinusBehavior[t]!),
  /** GRPO's ±.866024 = ±.5/(.577350 + 1e-6), one per row */
  rowAdvantages: standardizeByGroup(rewards, groups, { singleton: "raw", eps: 1e-6 }),
  /** the same, one per token */
  advantages: perToken(standardizeByGroup(rewards, groups, { singleton: "raw", eps: 1e-6 })),
};

/** Row values of F spread to its ten tokens by hand, so that tests of spreadRows have something to compare with. */
export function perToken(rows: ArrayLike<number>): Float64Array {
  return Float64Array.from([0, 0, 0, 1, 1, 2, 2, 2, 2, 3], (row) => rows[row]!);
}

export function f(...numbers: number[]): Float64Array {
  return Float64Array.from(numbers);
}

/** As the catalogue prints: six decimals. */
export const PRINTED = 1e-6;

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  const got = Array.from(actual);
  expect(got.length).toBe(expected.length);
  const worst = got.reduce((w, x, i) => Math.max(w, error(x, expected[i]!)), 0);
  expect(worst, `got [${got.join(", ")}], expected [${Array.from(expected).join(", ")}]`).toBeLessThanOrEqual(
    tolerance,
  );
}

/** Infinity for a NaN, so that it can never pass. */
function error(actual: number, expected: number): number {
  const e = actual === expected ? 0 : Math.abs(actual - expected);
  return Number.isNaN(e) ? Infinity : e;
}

export function expectNear(actual: number, expected: number, tolerance = PRINTED): void {
  expectClose([actual], [expected], tolerance);
}

export interface RaggedBatch {
  readonly offsets: Uint32Array;
  readonly mask: Uint8Array;
  readonly rows: number;
  readonly steps: number;
}

/** Rows of 0 to 6 steps, about a quarter of them masked; now and then a row without a chosen step. */
export function raggedBatch(random: Random, rows: number): RaggedBatch {
  const offsets = new Uint32Array(rows + 1);
  for (let i = 0; i < rows; i++) offsets[i + 1] = offsets[i]! + random.integer(7);
  const steps = offsets[rows]!;
  const mask = Uint8Array.from({ length: steps }, () => (random.uniform() < 0.75 ? 1 : 0));
  return { offsets, mask, rows, steps };
}

export function normals(random: Random, n: number, scale = 1, mean = 0): Float64Array {
  return Float64Array.from({ length: n }, () => mean + scale * random.normal());
}

/** What a term function writes, freshly allocated. */
export function evaluate<I>(
  term: (input: I, out: LossAndGate) => void,
  input: I,
  steps: number,
): LossAndGate {
  const out = lossAndGate(steps);
  term(input, out);
  return out;
}

/** (φ(x+h) − φ(x−h)) / 2h */
export function centralDifference(phi: (x: number) => number, x: number, h = 1e-6): number {
  return (phi(x + h) - phi(x - h)) / (2 * h);
}

/** Σ a·b */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let t = 0; t < a.length; t++) sum += a[t]! * b[t]!;
  return sum;
}

/** Rows of a batch in another order: `order[k]` is the row that becomes row k. */
export function permuteRows(
  batch: RaggedBatch,
  order: readonly number[],
): RaggedBatch & { stepsFrom: number[] } {
  const offsets = new Uint32Array(batch.rows + 1);
  const stepsFrom: number[] = [];
  order.forEach((row, k) => {
    for (let t = batch.offsets[row]!; t < batch.offsets[row + 1]!; t++) stepsFrom.push(t);
    offsets[k + 1] = stepsFrom.length;
  });
  const mask = Uint8Array.from(stepsFrom, (t) => batch.mask[t]!);
  return { offsets, mask, rows: batch.rows, steps: batch.steps, stepsFrom };
}

export function take(column: Float64Array, indices: readonly number[]): Float64Array {
  return Float64Array.from(indices, (t) => column[t]!);
}

/** 0 … n−1 in a random order. */
export function shuffled(random: Random, n: number): number[] {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  random.shuffle(order);
  return Array.from(order);
}
