/**
 * Beta normalisation policy optimisation (Xiao et al. 2025, arXiv:2506.02864): a group's advantages are divided by the
 * density, at its success rate p_g, of a Beta distribution that is fitted to the success rates of the batch.
 *
 *   A_i = (r_i − p_g)·min(1 / BetaPDF(p_g; α, β), 1e6), α = max(1, 1 + a/3), β = max(1, 1 + b/3)
 *   a = (p̄(1 − p̄)/v − 1)·p̄, b = (p̄(1 − p̄)/v − 1)·(1 − p̄), p̄ and v: mean and Bessel-corrected variance of p_g
 *
 * α = β = 1 is Dr. GRPO; α = β = 3/2 is GRPO up to a constant. Traps: scores must lie in [0, 1] (minScore, maxScore); a
 * batch of one group has no spread, and gets p̄ = 0, v = 1; where all groups succeed as often, α = β = 1. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { betaDensity } from "../algo/beta.js";
import { groupStatistics } from "../algo/group-statistics.js";
import { dualClip } from "../algo/surrogates.js";
import type { RowAdvantages } from "./advantages.js";
import { clipWindow, groupParams, groupRecipe, windowOf } from "./group-recipe.js";
import type { RecipeDefinition } from "./recipe.js";

const MOST_WEIGHT = 1e6;

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.28),
  dualClip: z
    .number()
    .min(1)
    .max(1000)
    .default(10)
    .describe("Bound c of the loss where the advantage is negative"),
  minScore: z.number().default(0).describe("Score of a row that fails"),
  maxScore: z.number().default(1).describe("Score of a row that succeeds"),
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

function betaNormalized(low: number, high: number): RowAdvantages {
  return (scores, groups) => {
    const successes = scores.map((score) => (score - low) / (high - low));
    const { means } = groupStatistics(successes, groups, "raw");
    const rates = new Map(Array.from(groups, (group, i) => [group, means[i]!]));
    const { alpha, beta } = fittedBeta([...rates.values()]);
    return successes.map((success, i) => {
      const density = betaDensity(means[i]!, alpha, beta);
      return (success - means[i]!) * Math.min(1 / density, MOST_WEIGHT);
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
      advantages: betaNormalized(p.minScore, p.maxScore),
      surrogate: dualClip({ ...windowOf(p), c: p.dualClip }),
      aggregator: seqMeanTokenSum(),
      window: windowOf(p),
    }),
};
