/**
 * Optimal advantage regression (Brantley et al. 2025, A*-PO, arXiv:2505.20686): the value that the best policy within reach of
 * the reference would have is estimated once, and the policy's log-ratio is then regressed to the advantage over it.
 *
 *   stage 1, the first `valueBatches` batches: V*_q = β₁·log mean_k exp(r_k/β₁) over the rows of task q, no training
 *   stage 2: loss = mean_i (β₂·Ψ_i + V*_q − r_i)², Ψ_i = Σ_t (ℓ_t − ℓ^r_t)
 *
 * The gradient is that of REINFORCE with the live advantage A_i = 2β₂·(r_i − V*_q − β₂·Ψ_i), which is what is taken;
 * `policyLoss` is not the squared error. Stage 1 is played by the run's first weights, so the reference has to be these: leave
 * `reference.policy` at "initial" and refreshEvery at 0. A task that stage 1 did not see has the V* of all its rows
 * together, a constant that leaves the gradient unbiased. Paper: 8 rows of each task in stage 1, one in stage 2; groups
 * are here what makes rows whole episodes of tasks that come back. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { summedLogRatios } from "../algo/ratio.js";
import { reinforce } from "../algo/surrogates.js";
import { liveColumn, rowColumn, stepColumn } from "../slots/batch.js";
import { groupParams } from "./parts/group-recipe.js";
import { optimalValues, optimalValuesTracker } from "./parts/optimal-values.js";
import { updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { bonusForEntropy, policyTerm } from "./parts/terms.js";

const VALUES = "optimalValues";

const params = z.strictObject({
  ...groupParams,
  valueBatches: z
    .int()
    .min(1)
    .max(1e6)
    .default(10)
    .describe("Batches of stage 1, enough to see every task about 8 times; the policy stays as it is"),
  beta1: z
    .number()
    .min(0)
    .max(1e6)
    .default(0.5)
    .describe(
      "β₁ of stage 1, in units of score: the smaller, the nearer V* is to the best row; 0 = the mean",
    ),
  beta2: z
    .number()
    .positive()
    .max(1e6)
    .default(1e-3)
    .describe("β₂: units of score that a nat from the reference costs"),
});

function optimalAdvantages(beta: number): Derive {
  return {
    ...{ id: "optimalAdvantages", when: "step", live: ["logprob"] },
    ...{ needs: ["referenceLogprobs"], writes: ["advantages"] },
    run(batch, { live, readings }) {
      const { mask, offsets } = batch;
      const references = stepColumn(batch, "referenceLogprobs");
      const psi = summedLogRatios(liveColumn(live, "logprob"), references, mask, offsets);
      const values = optimalValues(batch, readings, VALUES);
      const rows = rowColumn(batch, "score").map((r, i) => 2 * beta * (r - values[i]! - beta * psi[i]!));
      return { step: { advantages: spreadRows(rows, offsets) } };
    },
  };
}

export const aStarPo: RecipeDefinition<z.output<typeof params>> = {
  id: "a-star-po",
  summary:
    "Log-ratios regressed to the advantage over an optimal value known beforehand (Brantley et al. 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build: (p) => ({
    id: "a-star-po",
    requires: ["groups", "reference"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: [],
    evaluateReference: ["logprob"],
    derive: [optimalAdvantages(p.beta2)],
    terms: [
      policyTerm({ surrogate: reinforce(), aggregator: seqMeanTokenSum(), window: null }),
      ...bonusForEntropy(p),
    ],
    trackers: { [VALUES]: optimalValuesTracker(p.valueBatches, p.beta1) },
    update: { ...updatePlan(p, "rows"), observeBatches: p.valueBatches },
  }),
};
