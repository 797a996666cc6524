/**
 * Beta normalisation policy optimisation (Xiao et al. 2025, arXiv:2506.02864): a group's advantages are divided by the
 * density, at its success rate p_g, of a Beta distribution that is fitted to the success rates of the batch.
 *
 *   A_i = (r_i − p_g)·min(1 / BetaPDF(p_g; α, β), 1e6), α = max(1, 1 + a/3), β = max(1, 1 + b/3)
 *   a = (p̄(1 − p̄)/v − 1)·p̄, b = (p̄(1 − p̄)/v − 1)·(1 − p̄), p̄ and v: mean and Bessel-corrected variance of p_g
 *
 * α = β = 1 is Dr. GRPO; α = β = 3/2 is GRPO up to a constant. Traps: scores are mapped from [minScore, maxScore] to
 * [0, 1], and one outside is refused, for it has no density; a batch of one group has no spread, and gets p̄ = 0, v =
 * 1; where all groups succeed as often, α = β = 1. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { betaDensity } from "../algo/beta.js";
import { groupStatistics } from "../algo/group-statistics.js";
import type { RowAdvantages } from "./parts/advantages.js";
import { clipped, dualClipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";
import { scoreRange, successOf } from "./parts/success.js";

const MOST_WEIGHT = 1e6;

const params = z.strictObject({
  ...groupParams,
  ...dualClipWindow(0.2, 0.28, 10),
  ...scoreRange,
});

/** Fitted to success rates, one of each group. */
function fittedBeta(rates: readonly number[]): { readonly alpha: number; readonly beta: number } {
  const one = rates.length === 1;
  const mean = one ? 0 : rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = one ? 1 : rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / (rates.length - 1);
  const size = (mean * (1 - mean)) / variance - 1;
  const parameter = (share: number): number => {
    const value = 1 + (size * share) / 3;
    return value > 1 ? value : 1;
  };
  return Number.isFinite(size)
    ? { alpha: parameter(mean), beta: parameter(1 - mean) }
    : { alpha: 1, beta: 1 };
}

function betaNormalized(success: (scores: Float64Array) => Float64Array): RowAdvantages {
  return (scores, groups) => {
    const successes = success(scores);
    const { means } = groupStatistics(successes, groups, "raw");
    const rates = new Map(Array.from(groups, (group, i) => [group, means[i]!]));
    const { alpha, beta } = fittedBeta([...rates.values()]);
    return successes.map((rate, i) => {
      const density = betaDensity(means[i]!, alpha, beta);
      return (rate - means[i]!) * Math.min(1 / density, MOST_WEIGHT);
    });
  };
}

export const bnpo: RecipeDefinition<z.output<typeof params>> = {
  id: "bnpo",
  summary: "Advantages divided by a Beta density fitted to the batch's success rates (Xiao et al. 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "bnpo",
      advantages: betaNormalized(successOf("bnpo", p)),
      ...clipped(p),
      aggregator: seqMeanTokenSum(),
    }),
};
