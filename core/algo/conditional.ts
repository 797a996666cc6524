/** Advantages of rows that are compared with one half of their group and with the other. */
import { expectLength } from "../errors.js";
import { rowsByGroup } from "./group-statistics.js";

export interface ConditionalInput {
  /** [R] */
  readonly scores: Float64Array;
  /** [R] what a group is cut in two by */
  readonly metrics: Float64Array;
  /** [R] same number = same group */
  readonly groups: Float64Array;
}

export interface ConditionalOptions {
  /** On scores where halves are compared: of the half whose metric is lower, of the other. */
  readonly factors: readonly [lower: number, upper: number];
  /** μ: share of the comparison between halves */
  readonly mu: number;
}

/**
 * A_i = μ·(f_own·r_i − f_other·mean of the other half) + (1 − μ)·(r_i − mean of its own half) (CANON, 2025), [R]. The half of
 * lower metric has ⌊G/2⌋ rows of a group of G, of equal ones those that come first; a half without rows has mean 0.
 */
export function conditionalAdvantages(
  { scores, metrics, groups }: ConditionalInput,
  { factors, mu }: ConditionalOptions,
): Float64Array {
  expectLength("conditionalAdvantages", "metrics", scores.length, metrics.length);
  expectLength("conditionalAdvantages", "groups", scores.length, groups.length);
  const mean = (rows: readonly number[]): number =>
    rows.length === 0 ? 0 : rows.reduce((sum, i) => sum + scores[i]!, 0) / rows.length;
  const advantages = new Float64Array(scores.length);
  for (const rows of rowsByGroup(groups)) {
    const order = rows.toSorted((a, b) => metrics[a]! - metrics[b]!);
    const middle = Math.floor(order.length / 2);
    const means = [mean(order.slice(0, middle)), mean(order.slice(middle))];
    order.forEach((i, k) => {
      const [own, other] = k < middle ? [0, 1] : [1, 0];
      const inter = factors[own]! * scores[i]! - factors[other]! * means[other]!;
      advantages[i] = mu * inter + (1 - mu) * (scores[i]! - means[own]!);
    });
  }
  return advantages;
}
