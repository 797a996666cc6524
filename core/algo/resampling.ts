/** Resampling of rows by their score: what is drawn more often is trusted more. */
import { SkeinError } from "../errors.js";

/**
 * Policy filtration (Shen & Zhang 2024, PF-PPO): `best` all to the best · `best-random` half to the best, half to the
 * others evenly · `best-worst` half to the best, half to the worst. verl's: `pow` |score|^power · `max-min` 1 to the
 * largest and the smallest, else 0 · `max-random` 0.4 to the largest, 0.1 to each of the others.
 */
export type Resampling = "best" | "best-random" | "best-worst" | "pow" | "max-min" | "max-random";

/** verl adds this to each weight, so that there is always something to draw. */
const LEAST = 1e-8;

/**
 * Probability of each row in one draw, [R]. Equal scores are treated alike: they share what falls to the best, the
 * worst or the others; where all are equal so are the probabilities.
 */
export function resamplingProbabilities(scores: Float64Array, kind: Resampling, power: number): Float64Array {
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const min = scores.reduce((a, b) => Math.min(a, b), Infinity);
  const best = scores.reduce((count, score) => count + (score === max ? 1 : 0), 0);
  const worst = scores.reduce((count, score) => count + (score === min ? 1 : 0), 0);
  const weightOf = (score: number): number => {
    const [isBest, isWorst] = [score === max, score === min];
    switch (kind) {
      case "best":
        return isBest ? 1 : 0;
      case "best-random":
        return isBest ? 0.5 / best : 0.5 / (scores.length - best);
      case "best-worst":
        return isBest ? 0.5 / best : isWorst ? 0.5 / worst : 0;
      case "pow":
        return Math.abs(score) ** power + LEAST;
      case "max-min":
        return (isBest || isWorst ? 1 : 0) + LEAST;
      case "max-random":
        return (isBest ? 0.4 : 0.1) + LEAST;
    }
  };
  const weights = scores.map(weightOf);
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** The element that holds `u` of [0, 1): the smallest k with u < Σ_{j≤k} p_j; one of probability 0 never does. */
export function drawFrom(probabilities: Float64Array, u: number): number {
  let cumulative = 0;
  let last = -1;
  for (let k = 0; k < probabilities.length; k++) {
    if (probabilities[k] === 0) continue;
    cumulative += probabilities[k]!;
    if (u < cumulative) return k;
    last = k;
  }
  // Rounding may leave the sum below 1.
  if (last >= 0) return last;
  throw new SkeinError("SHAPE", "drawFrom: expected a probability above 0, got none");
}
