/**
 * Risk-based policy optimisation (RiskPO, 2025): what counts is not the mean score but a mixture of its lower tail and
 * its middle, so that hard tasks teach more than easy ones; scores are those of papers, one row of each of several
 * tasks.
 *
 *   paper j of a bundle of B groups: the j-th row of each, R_j = Σ r
 *   A_j = mixed risk of R_j / (std of the bundle's R + ε)
 *   row of group q: A_j·(r − mean_q)/Σ_k (r_k − mean_k) over the paper's rows (sum-mean), in equal parts where
 *   that sum is 0
 *   loss = token-mean of dualClip(ρ_t, A); mixed risk in core/algo/risk.ts, between quantiles q_α and q_β of R
 *
 * The quantiles of the first batch's papers are followed from then on by q_τ ← q_τ + η·(τ − share of R < q_τ), or taken
 * from each bundle, or averaged. Traps: η is in units of R, so set it with the scale of scores; q_τ has seen the batch
 * that it is used for (in the released code only those before it); the natural baseline is on in some of its scripts;
 * the paper has one ratio a row (`ratio: sequence`), the code one a step; the code divides by a standard deviation of 0
 * + ε where all papers of a bundle score the same, here one below 1e-3 counts as 1. Source confidence: exact (the
 * authors' code).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { groupStatistics } from "../algo/group-statistics.js";
import { mixedRisk } from "../algo/risk.js";
import { rowAdvantages } from "./parts/advantages.js";
import { clipped, dualClipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { expectParams, weight } from "./parts/params.js";
import { paperQuantiles } from "./parts/paper-quantiles.js";
import { bundlesOf, creditOf, spreadOr1 } from "./parts/papers.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const level = z.number().positive().max(1);
const params = z.strictObject({
  ...groupParams,
  ...dualClipWindow(0.2, 0.2, 3),
  ratio: z
    .enum(["token", "sequence"])
    .default("token")
    .describe("A ratio for every step, or one for the row"),
  stdEpsilon,
  bundleGroups: z.int().min(1).max(10_000).default(5).describe("B: groups that a paper takes a row of each"),
  quantileLow: level.default(0.2).describe("α: share of papers in the lower tail"),
  quantileHigh: level.default(0.8).describe("β: papers above this quantile count no more than it does"),
  tailWeight: weight.default(1.5).describe("w: weight of the lower tail"),
  naturalBaseline: z.boolean().default(false).describe("Measure the middle from its upper end"),
  normalizeByStd: z.boolean().default(true).describe("Divide by the standard deviation of a bundle's papers"),
  quantiles: z
    .enum(["track", "batch", "mix"])
    .default("track")
    .describe("Followed over the run, of each bundle alone, or the mean of both"),
  quantileRate: z.number().positive().max(1e6).default(0.1).describe("η, units of a paper's score"),
  credit: z
    .enum(["sum-mean", "uniform", "std", "score"])
    .default("sum-mean")
    .describe(
      "What a row has of its paper: by its score above its group's mean; all; by its group's spread; more if it failed",
    ),
});
type Params = z.output<typeof params>;

function paperAdvantages(p: Params, quantilesOf: ReturnType<typeof paperQuantiles>["read"]): Derive {
  const { quantileLow: low, quantileHigh: high, tailWeight, naturalBaseline } = p;
  return rowAdvantages("paperAdvantages", [], (batch, { readings }) => {
    const advantages = new Float64Array(batch.offsets.length - 1);
    const credit = creditOf(p.credit, batch, p.stdEpsilon);
    for (const { papers, scores } of bundlesOf(batch, p.bundleGroups)) {
      const quantiles = quantilesOf(readings, scores);
      const { stds } = groupStatistics(scores, new Float64Array(scores.length), "raw");
      papers.forEach((rows, j) => {
        const scale = p.normalizeByStd ? spreadOr1(stds[j]!) + p.stdEpsilon : 1;
        const risk = mixedRisk(scores[j]!, quantiles, { low, high, tailWeight, naturalBaseline });
        credit(rows).forEach((part, k) => (advantages[rows[k]!] = (risk / scale) * part));
      });
    }
    return advantages;
  });
}

export const riskpo: RecipeDefinition<Params> = {
  id: "riskpo",
  summary: "The lower tail and the middle of scores of bundled groups, not their mean (RiskPO, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p) {
    const { quantileLow: low, quantileHigh: high } = p;
    expectParams("riskpo", low < high, `recipe.params.quantileLow < quantileHigh, got ${low} and ${high}`);
    const { trackers, read } = paperQuantiles(p);
    return groupRecipe(p, {
      id: "riskpo",
      sampler: { bundleGroups: p.bundleGroups },
      advantages: paperAdvantages(p, read),
      ...clipped(p),
      aggregator: tokenMean(),
      ratio: p.ratio,
      trackers,
    });
  },
};
