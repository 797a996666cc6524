/**
 * Negative-aware fine-tuning (Chen et al. 2025, NFT, arXiv:2505.18116): rows that succeed are learned as they are, and rows
 * that fail through the likelihood of the negative policy that the old one and the group's success rate q imply.
 *
 *   loss = Σ_t w·(−log R_t where the row succeeded, −log max((1 − q·R_t)/(1 − q), c) elsewhere)/1000, R = π/π_old
 *   w = 1 − q ("difficulty") or √((1 − q)/q) ("standard-deviation"), times negativeWeight where the row failed
 *
 * On policy these are the gradients of Dr. GRPO and of GRPO with the population's standard deviation. Only groups that
 * neither succeed nor fail whole enter a batch. Traps: the maximum is straight-through, its value stays in the gradient's denominator
 * (core/algo/negative-aware.ts); q is held in [.02, .98]; success is a yes or no: set successScore. Source confidence: exact
 * (the authors' code).
 */
import { z } from "zod";
import { tokenSum } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { groupStatistics } from "../algo/group-statistics.js";
import { approximateKl } from "../algo/kl.js";
import { negativeAware } from "../algo/negative-aware.js";
import { clamp, tokenLogRatios } from "../algo/ratio.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { maxFilteredBatches, outcomesDiffer } from "./parts/filters.js";
import { groupParams } from "./parts/group-recipe.js";
import { updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition, Term } from "../slots/recipe.js";
import { bonusForEntropy } from "./parts/terms.js";

const DIVISOR = 1000;
const LEAST_RATE = 0.02;

const params = z.strictObject({
  ...groupParams,
  successScore: z.number().default(1).describe("A row with this score or a higher one succeeded"),
  weighting: z
    .enum(["none", "difficulty", "standard-deviation"])
    .default("difficulty")
    .describe("Weight of a group with success rate q: 1, 1 − q, or √((1 − q)/q)"),
  negativeWeight: z.number().min(0).default(1).describe("Weight of rows that fail, beside that"),
  leastRatio: z.number().positive().default(1).describe("c: least likelihood ratio of the negative policy"),
  maxFilteredBatches,
});
type Params = z.output<typeof params>;

const WEIGHT_OF: Readonly<Record<Params["weighting"], (rate: number) => number>> = {
  none: () => 1,
  difficulty: (rate) => 1 - rate,
  "standard-deviation": (rate) => Math.sqrt((1 - rate) / rate),
};

function successRates({ successScore, weighting, negativeWeight }: Params): Derive {
  return {
    ...{ id: "successRates", when: "seal", needs: [] },
    writes: ["successes", "successRates", "outcomeWeights"],
    run(batch) {
      const successes = rowColumn(batch, "score").map((score) => (score >= successScore ? 1 : 0));
      const { means } = groupStatistics(successes, rowColumn(batch, "group"), "zero");
      const rates = means.map((mean) => clamp(mean, LEAST_RATE, 1 - LEAST_RATE));
      const weights = rates.map(
        (rate, i) => WEIGHT_OF[weighting](rate) * (successes[i] === 1 ? 1 : negativeWeight),
      );
      const spread = (rows: Float64Array): Float64Array => spreadRows(rows, batch.offsets);
      const step = { successes: spread(successes), successRates: spread(rates) };
      return { step: { ...step, outcomeWeights: spread(weights) } };
    },
  };
}

function likelihoodTerm({ leastRatio }: Params): Term {
  return {
    ...{ id: "policyLoss", on: "logprob", coefficient: 1, aggregator: tokenSum(DIVISOR) },
    ...{ needs: ["oldLogprobs", "successes", "successRates"], weights: ["outcomeWeights"] },
    evaluate(logprobs, batch, out) {
      const logRatios = tokenLogRatios(logprobs, stepColumn(batch, "oldLogprobs"));
      const [successes, rates] = [stepColumn(batch, "successes"), stepColumn(batch, "successRates")];
      negativeAware({ logRatios, successes, successRates: rates }, { leastRatio }, out);
      return { klK3: approximateKl(logRatios, batch.mask) };
    },
  };
}

export const nft: RecipeDefinition<Params> = {
  id: "nft",
  summary: "Maximum likelihood, of failures through an implicit negative policy (Chen et al. 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build: (p) => ({
    id: "nft",
    requires: ["groups"],
    sampler: { batchSteps: p.batchSteps, filter: outcomesDiffer("equalOutcomes", p) },
    evaluate: [],
    derive: [successRates(p)],
    terms: [likelihoodTerm(p), ...bonusForEntropy(p)],
    trackers: {},
    update: updatePlan(p, "rows"),
  }),
};
