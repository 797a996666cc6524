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
import { discountedReturns } from "../algo/returns.js";
import { reinforce } from "../algo/surrogates.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { groupParams } from "./parts/group-recipe.js";
import { updatePlan } from "./parts/params.js";
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
  gamma: z.number().min(0).max(1).default(1).describe("Discount per step, γ"),
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
      const rewards = klShapedRewards(
        {
          rewards: stepColumn(batch, "rewards"),
          oldLogprobs: liveColumn(live, "logprob"),
          refLogprobs: stepColumn(batch, "referenceLogprobs"),
          mask,
        },
        beta,
      );
      const rows = offsets.length - 1;
      const terminated = new Uint8Array(rows).fill(1);
      const ends = { terminated, bootstrapValues: new Float64Array(rows) };
      const returns = discountedReturns({ rewards, mask, offsets, ...ends }, gamma);
      const values = logPartitions(liveColumn(live, "policy"), steps);
      const references = logPartitions(stepColumn(batch, "referencePolicies"), steps);
      const residuals = returns.map((g, t) => g - beta * (values[t]! - references[t]!));
      const advantages = new Float64Array(steps);
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let t = offsets[row]!; t < offsets[row + 1]!; t++) {
          if (mask[t] === 0) continue;
          sum = gamma * sum + residuals[t]!;
          advantages[t] = 2 * beta * sum;
        }
      }
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
