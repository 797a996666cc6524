/**
 * KL-Cov (Cui et al. 2025, "The entropy mechanism", arXiv:2505.22617): the steps of highest covariance of logprob and
 * advantage, which make entropy fall, are held near the policy that acted; no ratio is clipped.
 *
 *   cov_t = (A_t − mean A)·(ℓ_t − mean ℓ) over the minibatch's N chosen steps, ℓ live
 *   loss = token-mean of −A_i·ρ_t + c·|ℓ_t − ℓ^o_t| on the max(⌊share·N⌋, 1) steps of highest cov_t, −A_i·ρ_t elsewhere
 *
 * A_i as in GRPO. Traps: the authors give the share in percent (.2 for 7B, .02 for 32B), verl as a fraction; the
 * penalty's denominator is that of all steps. Source confidence: exact (verl, the authors' code).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { klAbsolute } from "../algo/kl.js";
import { chosenSteps, topIndices } from "../algo/selection.js";
import { centredProducts } from "../algo/statistics.js";
import { importanceSampling } from "../algo/surrogates.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { klTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  stdEpsilon,
  share: z.number().min(0).max(1).default(2e-3).describe("Share of a minibatch's steps that is held"),
  klCoefficient: z.number().min(0).default(1).describe("Weight c of what holds them"),
});

function highestCovariance(share: number): Derive {
  return {
    ...{ id: "highestCovariance", when: "step", live: ["logprob"] },
    ...{ needs: ["advantages"], writes: ["highCovariance"] },
    run(batch, { live }) {
      const advantages = stepColumn(batch, "advantages");
      const covariances = centredProducts(advantages, liveColumn(live, "logprob"), batch.mask);
      const chosen = chosenSteps(batch.mask);
      const highCovariance = new Float64Array(batch.mask.length);
      const count = Math.max(Math.floor(share * chosen.length), 1);
      for (const t of topIndices(covariances, chosen, count)) highCovariance[t] = 1;
      return { step: { highCovariance } };
    },
  };
}

export const klCov: RecipeDefinition<z.output<typeof params>> = {
  id: "kl-cov",
  summary: "Steps of highest covariance are held near the policy that acted (Cui et al. 2025)",
  source: { confidence: "exact", checked: "verl, the authors' code" },
  params,
  build(p) {
    const base = groupRecipe(p, {
      id: "kl-cov",
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [highestCovariance(p.share)],
      surrogate: importanceSampling(),
      aggregator: tokenMean(),
      window: null,
    });
    const held = klTerm({
      ...{ id: "covarianceKl", to: "oldLogprobs", estimator: klAbsolute, weights: ["highCovariance"] },
      ...{ coefficient: p.klCoefficient, aggregator: tokenMean() },
    });
    return { ...base, terms: [...base.terms, held] };
  },
};
