/** What ARES knows of each difficulty from one batch to the next: a price of effort λ, and a weight β of the KL. */
import { DIFFICULTIES, meansByDifficulty } from "../../algo/effort.js";
import { clamp } from "../../algo/ratio.js";
import type { Batch } from "../../slots/batch.js";
import type { Readings, Tracker } from "../../slots/recipe.js";

interface Bucket {
  /** Running mean of high-entropy windows a row; null = none seen. */
  readonly mean: number | null;
  readonly lambda: number;
  readonly beta: number;
}

export interface EffortControl {
  /** The most that λ may be. */
  readonly lambdaMax: number;
  /** KL(π ‖ π_ref) a step that β aims at, nats. */
  readonly klTarget: number;
}

const DECAY = 0.9;
const EPS = 1e-6;
const BETA_RATE = 0.05;
const BETA_ERROR = 0.2;
const BETA_MIN = 1e-4;
const BETA_MAX = 100;

function nextBucket(
  bucket: Bucket,
  difficulty: string,
  stats: Readonly<Record<string, number>>,
  c: EffortControl,
): Bucket {
  const count = stats[`windows_${difficulty}`];
  const square = stats[`windowsSquared_${difficulty}`];
  const kl = stats[`referenceKl_${difficulty}`];
  const { mean, lambda, beta } = bucket;
  const error = kl === undefined ? 0 : clamp(kl / c.klTarget - 1, -BETA_ERROR, BETA_ERROR);
  const known = { mean, lambda, beta: clamp(beta * Math.exp(BETA_RATE * error), BETA_MIN, BETA_MAX) };
  if (count === undefined || square === undefined) return known;
  if (mean === null) return { ...known, mean: count };
  const variance = Math.max(square - count * count, 0);
  return {
    ...known,
    mean: DECAY * mean + (1 - DECAY) * count,
    lambda: clamp((count - mean) / (variance + EPS), 0, c.lambdaMax),
  };
}

const NAME = "effort";

/**
 * After each batch, for each difficulty: λ = (N − N̄)⁺/(Var N + ε), N the batch's mean of windows and N̄ its running
 * mean before; log β moves towards what makes the KL `klTarget`, by 0.05 times the relative error, at most 0.2.
 */
export function effortTracker(control: EffortControl): Readonly<Record<string, Tracker>> {
  const tracker: Tracker<readonly Bucket[]> = {
    initial: DIFFICULTIES.map(() => ({ mean: null, lambda: 0, beta: 1 })),
    observe: (state) => state,
    conclude: (state, stats) =>
      state.map((bucket, k) => nextBucket(bucket, DIFFICULTIES[k]!, stats, control)),
    read: (state) =>
      Object.fromEntries(
        state.flatMap(({ lambda, beta }, k) => [
          [`lambda_${DIFFICULTIES[k]!}`, lambda],
          [`beta_${DIFFICULTIES[k]!}`, beta],
        ]),
      ),
  };
  return { [NAME]: tracker };
}

/** λ and β of each difficulty, in the order of DIFFICULTIES. */
export function readEffort({ [NAME]: shown = {} }: Readings): {
  readonly lambdas: readonly number[];
  readonly betas: readonly number[];
} {
  return {
    lambdas: DIFFICULTIES.map((name) => shown[`lambda_${name}`] ?? 0),
    betas: DIFFICULTIES.map((name) => shown[`beta_${name}`] ?? 1),
  };
}

function named(name: string, values: Float64Array, difficulties: Float64Array): Record<string, number> {
  const means = meansByDifficulty(values, difficulties);
  return Object.fromEntries(DIFFICULTIES.map((difficulty, k) => [`${name}_${difficulty}`, means[k]!]));
}

/** What a term has to report of a minibatch's rows, NaN for a difficulty that is not there. */
export function windowStats({ row }: Batch): Record<string, number> {
  const windows = row["highWindows"] ?? new Float64Array(0);
  const difficulties = row["difficulty"] ?? new Float64Array(0);
  const squares = windows.map((n) => n * n);
  return { ...named("windows", windows, difficulties), ...named("windowsSquared", squares, difficulties) };
}

/** The same of the KL of its steps, [N], of which those chosen count. */
export function klStats({ step, mask }: Batch, kl: Float64Array): Record<string, number> {
  const difficulties = (step["difficulty"] ?? new Float64Array(0)).map((d, t) => (mask[t] === 0 ? -1 : d));
  return named("referenceKl", kl, difficulties);
}
