/** Measures of risk of a score R: what it is worth beside the distribution that it comes from. */
import { SkeinError } from "../errors.js";
import { quantile } from "./selection.js";

/** The α- and β-quantile of scores, units of score. */
export interface ScoreQuantiles {
  readonly low: number;
  readonly high: number;
}

/** α of the lower tail, and β > α; in [0, 1]. */
export interface QuantileLevels {
  readonly low: number;
  readonly high: number;
}

export interface RiskLevels extends QuantileLevels {
  /** w: weight of the lower tail beside the range between the quantiles */
  readonly tailWeight: number;
  /** Measure the range from its upper end, so that it is ≤ 0. */
  readonly naturalBaseline: boolean;
}

const EPS = 1e-6;

/**
 * (w·CVaR + RVaR)/(w + 1), CVaR = −(q_α − R)⁺/(α + ε), RVaR = ((R − q_α)⁺ − (R − q_β)⁺ [+ q_α − q_β])/(β − α + ε):
 * scores below q_α count most, those above q_β no more than q_β (RiskPO, 2025).
 */
export function mixedRisk(score: number, q: ScoreQuantiles, levels: RiskLevels): number {
  const { low, high, tailWeight, naturalBaseline } = levels;
  const above = (quantile: number): number => Math.max(score - quantile, 0);
  const range = above(q.low) - above(q.high) + (naturalBaseline ? q.low - q.high : 0);
  const tail = -Math.max(q.low - score, 0) / (low + EPS);
  return (tailWeight * tail + range / (high - low + EPS)) / (tailWeight + 1);
}

/** q + η·(τ − share of scores below q): a step of stochastic approximation towards the τ-quantile. */
export function trackQuantile(q: number, scores: readonly number[], tau: number, rate: number): number {
  if (scores.length === 0)
    throw new SkeinError("SHAPE", "trackQuantile: expected at least one score, got none");
  return q + rate * (tau - scores.filter((score) => score < q).length / scores.length);
}

/** Those of the scores themselves. */
export function scoreQuantiles(scores: Float64Array, { low, high }: QuantileLevels): ScoreQuantiles {
  return { low: quantile(scores, low), high: quantile(scores, high) };
}
