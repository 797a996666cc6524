/**
 * REINFORCE leave-one-out (Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740): the baseline of a row is the mean
 * score of the others of its group, which leaves the gradient unbiased.
 *
 *   A_i = r_i − mean_{j≠i} r_j; loss = mean_i Σ_t −A_i·ℓ_t
 *
 * Trap: on policy only, as no ratio corrects for older data: one epoch, one minibatch, `staleness.maxPolicyLag: 0`.
 * Source confidence: exact (the paper; verl's estimator).
 */
import { z } from "zod";
import { seqMeanTokenSum } from "../algo/aggregate.js";
import { reinforce } from "../algo/surrogates.js";
import { leaveOneOut } from "./parts/advantages.js";
import { groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject(groupParams);

export const rloo: RecipeDefinition<z.output<typeof params>> = {
  id: "rloo",
  summary: "REINFORCE with the mean of the others as baseline (Ahmadian et al. 2024)",
  source: { confidence: "exact", checked: "the paper; verl's estimator" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "rloo",
      advantages: leaveOneOut,
      surrogate: reinforce(),
      aggregator: seqMeanTokenSum(),
      window: null,
    }),
};
