/**
 * Shifted Q-learning (Clavier et al. 2025, ShiQ, arXiv:2505.11081): logits are values of actions, and are to be consistent
 * over every rest of a row, whatever policy it came from.
 *
 *   e_t = Σ_{k≥t} γ^{k−t}·(r_k − β·(ℓ_k − ℓ^r_k)) − (v_t − v^r_t), v_t = β·log Σ_a exp(logit_a(s_t)); loss = mean_i Σ_t e_t²
 *
 * Everything in e_t is differentiated: what is taken is REINFORCE with the live advantage A_k = 2β·Σ_{t≤k} γ^{k−t}·e_t, and
 * −2β·e_t·log Σ_a exp(logit_a), linear in the logarithm; neither is the squared error. The value after a row's last
 * step is 0, cut rows included. Rows of any policy may be used again: the modifier `replay`. Traps: β is in units of reward, and the
 * logits must be the network's own, unshifted. Source confidence: derived (the final loss, from a summary of the paper).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { logPartition, logPartitions } from "../algo/logits.js";
import { klShapedRewards } from "../algo/kl.js";
import { discountedPast, returnsWithinRows } from "../algo/returns.js";
import { reinforce } from "../algo/surrogates.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { groupParams } from "./parts/group-recipe.js";
import { criticParams, updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition, Term } from "../slots/recipe.js";
import { bonusForEntropy, policyTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  beta: z
    .number()
    .positive()
    .max(1e6)
    .default(0.1)
    .describe("β: units of reward that a nat from the reference costs"),
  gamma: criticParams.gamma.default(1).describe("Discount per step, γ"),
});
type Params = z.output<typeof params>;

function bellmanResiduals({ beta, gamma }: Params): Derive {
  return {
    ...{ id: "bellmanResiduals", when: "step", live: ["logprob", "policy"] },
    needs: ["rewards", "referenceLogprobs", "referencePolicies"],
    writes: ["residuals", "advantages"],
    run(batch, { live }) {
      const { mask, offsets } = batch;
      const { steps } = batch.inputs;
      const [oldLogprobs, refLogprobs] = [
        liveColumn(live, "logprob"),
        stepColumn(batch, "referenceLogprobs"),
      ];
      const kl = { rewards: stepColumn(batch, "rewards"), oldLogprobs, refLogprobs, mask };
      const rewards = klShapedRewards(kl, beta);
      const returns = returnsWithinRows({ rewards, mask, offsets }, gamma);
      const values = logPartitions(liveColumn(live, "policy"), steps);
      const references = logPartitions(stepColumn(batch, "referencePolicies"), steps);
      const residuals = returns.map((g, t) => g - beta * (values[t]! - references[t]!));
      const advantages = discountedPast(residuals, mask, offsets, gamma).map((sum) => 2 * beta * sum);
      return { step: { residuals, advantages } };
    },
  };
}

/** −2β·e_t·log Z_t */
function valueTerm(beta: number): Term {
  return {
    ...{ id: "shiftLoss", on: "policy", coefficient: -2 * beta, aggregator: seqMeanTokenSum() },
    ...{ needs: ["residuals"], weights: ["residuals"] },
    evaluate(logits, _batch, out) {
      logPartition(logits, out);
      return {};
    },
  };
}

export const shiq: RecipeDefinition<Params> = {
  id: "shiq",
  summary: "Logits as values of actions, consistent over every rest of a row (ShiQ, Clavier et al. 2025)",
  source: { confidence: "derived", checked: "a summary of the paper; the final loss is worked out from it" },
  params,
  build: (p) => ({
    id: "shiq",
    requires: ["groups", "reference", "discrete"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: [],
    evaluateReference: ["logprob", "policy"],
    derive: [bellmanResiduals(p)],
    terms: [
      policyTerm({ surrogate: reinforce(), aggregator: seqMeanTokenSum(), window: null }),
      valueTerm(p.beta),
      ...bonusForEntropy(p),
    ],
    trackers: {},
    update: updatePlan(p, "rows"),
  }),
};
