/**
 * Contrastive policy gradient (Flet-Berliac et al. 2024, CoPG, arXiv:2406.19185): rows of a group are compared pair by pair, which
 * gives the gradient of a regularised return whatever policy they came from, without importance weights.
 *
 *   Ψ_i = Σ_t (ℓ_t − ℓ^r_t), R_i = r_i − β·Ψ_i; the gradient is that of REINFORCE with the live advantage
 *   A_i = R_i − mean_{j≠i} R_j; loss = mean_i Σ_t −A_i·ℓ_t
 *
 * Trap: the paper's objective has β/2 where its gradient has β. Rows of any policy may be used again: the modifier `replay`.
 * Source confidence: exact (the paper's text).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { summedLogRatios } from "../algo/ratio.js";
import { reinforce } from "../algo/surrogates.js";
import { leaveOneOut } from "./parts/advantages.js";
import { liveColumn, rowColumn, stepColumn } from "../slots/batch.js";
import { groupParams } from "./parts/group-recipe.js";
import { updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { bonusForEntropy, policyTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  beta: z
    .number()
    .min(0)
    .max(1000)
    .default(0.06)
    .describe("β: units of score that a nat from the reference costs"),
});

function contrastiveAdvantages(beta: number): Derive {
  return {
    ...{ id: "contrastiveAdvantages", when: "step", live: ["logprob"] },
    ...{ needs: ["referenceLogprobs"], writes: ["advantages"] },
    run(batch, { live }) {
      const { mask, offsets } = batch;
      const references = stepColumn(batch, "referenceLogprobs");
      const psi = summedLogRatios(liveColumn(live, "logprob"), references, mask, offsets);
      const scores = rowColumn(batch, "score").map((score, row) => score - beta * psi[row]!);
      return { step: { advantages: spreadRows(leaveOneOut(scores, rowColumn(batch, "group")), offsets) } };
    },
  };
}

export const copg: RecipeDefinition<z.output<typeof params>> = {
  id: "copg",
  summary: "Pairs of a group compared, from whatever policy they are (CoPG, Flet-Berliac et al. 2024)",
  source: { confidence: "exact", checked: "the paper's text" },
  params,
  build: (p) => ({
    id: "copg",
    requires: ["groups", "reference"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: [],
    evaluateReference: ["logprob"],
    derive: [contrastiveAdvantages(p.beta)],
    terms: [
      policyTerm({ surrogate: reinforce(), aggregator: seqMeanTokenSum(), window: null }),
      ...bonusForEntropy(p),
    ],
    trackers: {},
    update: updatePlan(p, "groups"),
  }),
};
