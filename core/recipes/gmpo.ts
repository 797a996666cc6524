/**
 * Geometric-mean policy optimisation (Zhao et al. 2025, arXiv:2507.20673): GRPO with the geometric mean of a row's
 * ratios in place of their arithmetic mean, so that a single outlier moves little, and with a window that can be wide.
 *
 *   ρ_i = exp(mean_t Δ'_t), Δ' = Δ clipped to ±0.4 on the side that A pushes to; loss = mean_i(−A_i·ρ_i), A_i as in GRPO
 *
 * Traps: the window is of log-ratios; a row whose steps are all clipped has no gradient. Always the mean over rows.
 * Source confidence: exact (verl).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { geometricMeanClip } from "../algo/geometric-mean.js";
import { approximateKl } from "../algo/kl.js";
import { tokenLogRatios } from "../algo/ratio.js";
import type { ClipEpsilon } from "../algo/surrogates.js";
import { groupAdvantages, standardizedByGroup } from "./parts/advantages.js";
import { stepColumn } from "../slots/batch.js";
import { groupParams, stdEpsilon } from "./parts/group-recipe.js";
import { updatePlan } from "./parts/params.js";
import type { RecipeDefinition, Term } from "../slots/recipe.js";
import { bonusForEntropy } from "./parts/terms.js";

const clip = z.number().positive().max(10).default(0.4);

const params = z.strictObject({
  ...groupParams,
  clipLow: clip.describe("Log-ratios are clipped below −clipLow where the advantage is negative, nats"),
  clipHigh: clip.describe("Log-ratios are clipped above clipHigh where the advantage is positive, nats"),
  stdEpsilon,
});

function geometricMeanTerm(window: ClipEpsilon): Term {
  return {
    ...{ id: "policyLoss", on: "logprob", coefficient: 1, aggregator: seqMeanTokenMean() },
    needs: ["advantages", "oldLogprobs"],
    evaluate(logprobs, batch, out) {
      const { mask, offsets } = batch;
      const oldLogprobs = stepColumn(batch, "oldLogprobs");
      const advantages = stepColumn(batch, "advantages");
      geometricMeanClip({ logprobs, oldLogprobs, advantages, mask, offsets }, window, out);
      return { klK3: approximateKl(tokenLogRatios(logprobs, oldLogprobs), mask) };
    },
  };
}

export const gmpo: RecipeDefinition<z.output<typeof params>> = {
  id: "gmpo",
  summary: "Geometric-mean policy optimisation: the geometric mean of a row's ratios (Zhao et al. 2025)",
  source: { confidence: "exact", checked: "verl" },
  params,
  build: (p) => ({
    id: "gmpo",
    requires: ["groups"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: [],
    derive: [groupAdvantages("groupAdvantages", standardizedByGroup(p.stdEpsilon))],
    terms: [geometricMeanTerm({ low: p.clipLow, high: p.clipHigh }), ...bonusForEntropy(p)],
    trackers: {},
    update: updatePlan(p, "rows"),
  }),
};
