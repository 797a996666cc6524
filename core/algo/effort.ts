/** What a row's effort, counted in stretches of high entropy, adds to its score by how hard its task is (ARES). */

import { groupStatistics } from "./group-statistics.js";

export const DIFFICULTIES = ["easy", "medium", "hard"] as const;
/** Index into DIFFICULTIES. */
export type Difficulty = 0 | 1 | 2;

/** By the share of a group's rows that succeed: easy from 2/3 on, medium from 1/3 on. */
export function difficultyOf(successRate: number): Difficulty {
  if (successRate >= 2 / 3) return 0;
  return successRate >= 1 / 3 ? 1 : 2;
}

/** The difficulty of each row's group. successes (1 = succeeds, else 0), groups [R] → [R] */
export function difficultiesOf(successes: Float64Array, groups: Float64Array): Float64Array {
  const { means } = groupStatistics(successes, groups, "zero");
  return means.map(difficultyOf);
}

/** The mean of values in each difficulty, in the order of DIFFICULTIES; NaN where there is none. Both [n]. */
export function meansByDifficulty(values: Float64Array, difficulties: Float64Array): number[] {
  return DIFFICULTIES.map((_, difficulty) => {
    const of = values.filter((_value, i) => difficulties[i] === difficulty);
    return of.reduce((sum, x) => sum + x, 0) / of.length;
  });
}

export interface Effort {
  readonly success: boolean;
  /** Stretches of high entropy in the row. */
  readonly count: number;
  /** Of rows of its difficulty. */
  readonly target: number;
}

/** The paper's: 0 for a row that succeeds, else −λ·g(Δ), Δ = count − target; g = Δ⁺ easy, |Δ| medium, (−Δ)⁺ hard. */
export function priceOfEffort(
  { success, count, target }: Effort,
  difficulty: Difficulty,
  lambda: number,
): number {
  if (success) return 0;
  const delta = count - target;
  return -lambda * [Math.max(delta, 0), Math.abs(delta), Math.max(-delta, 0)][difficulty]!;
}

interface Shape {
  /** Of the target: what deviates less is free. */
  readonly margin: number;
  /** Where the penalty goes from quadratic to linear. */
  readonly kappa: number;
  /** Excess over which the bonus saturates. */
  readonly temperature: number;
  /** Of α: the most that is added or taken away. */
  readonly cap: number;
  /** Share of the cap that a row without success can have. */
  readonly failed: number;
}

const SHAPES: readonly Shape[] = [
  { margin: 0.15, kappa: 2, temperature: 2, cap: 1, failed: 0.6 },
  { margin: 0.25, kappa: 3, temperature: 2.5, cap: 1, failed: 0.8 },
  { margin: 0.35, kappa: 4, temperature: 3, cap: 1.2, failed: 1 },
];

const huber = (x: number, kappa: number): number => (x <= kappa ? (x * x) / (2 * kappa) : x - kappa / 2);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/**
 * The released code's, bounded by α: too much effort costs a row that succeeds at an easy task, either way of the
 * target at a medium one, too little at a hard one, where more earns; a row that fails earns by more effort. σ(0) = ½
 * gives every row that fails a bonus.
 */
export function boundedEffort(
  { success, count, target }: Effort,
  difficulty: Difficulty,
  alpha: number,
): number {
  const { margin: share, kappa, temperature, cap: part, failed } = SHAPES[difficulty]!;
  const margin = Math.max(1, share * Math.max(target, 1));
  const cap = alpha * part;
  const delta = count - target;
  const bonus = (excess: number): number => cap * sigmoid(excess / temperature);
  const penalty = (excess: number, weight = 1): number =>
    -Math.min(cap, (weight * huber(Math.max(excess, 0), kappa) * cap) / (margin + kappa));
  if (!success) return failed * bonus(Math.max(delta - margin, 0));
  if (difficulty === 0) return penalty(delta - margin);
  if (difficulty === 1) return penalty(Math.abs(delta) - margin);
  return delta >= -margin ? bonus(delta + margin) : penalty(-delta - margin, 0.5);
}

export interface EffortInput {
  /** [R] 1 = the row succeeds, else 0 */
  readonly successes: Float64Array;
  /** [R] stretches of high entropy */
  readonly counts: Float64Array;
  /** [R] indices into DIFFICULTIES */
  readonly difficulties: Float64Array;
}

export interface EffortPrices {
  /** Of the paper, or of the released code. */
  readonly form: "paper" | "released";
  /** λ of each difficulty; the paper's form */
  readonly lambdas: readonly number[];
  /** α of the released one */
  readonly alpha: number;
}

/**
 * Success, and what the row's effort adds to it; the target is the mean count of the rows of its difficulty, as a whole number
 * in the released form. [R]
 */
export function effortScores(
  { successes, counts, difficulties }: EffortInput,
  { form, lambdas, alpha }: EffortPrices,
): Float64Array {
  const means = meansByDifficulty(counts, difficulties);
  return successes.map((success, i) => {
    const difficulty = difficulties[i] as Difficulty;
    const row = { success: success === 1, count: counts[i]! };
    const mean = means[difficulty]!;
    const added =
      form === "paper"
        ? priceOfEffort({ ...row, target: mean }, difficulty, lambdas[difficulty]!)
        : boundedEffort({ ...row, target: Math.round(mean) }, difficulty, alpha);
    return success + added;
  });
}
