/**
 * Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300): baseline and scale of a row are the mean and
 * the Bessel-corrected standard deviation of its group's scores, so that no critic is needed.
 *
 *   A_i = (r_i − mean_g) / (std_g + ε); loss = seq-mean-token-mean of ppoClip(ρ_t, A_i) + β·k3(π ‖ π_ref)
 *
 * Traps: 1/L_i favours long wrong rows and the division by std easy and hard tasks (dr-grpo has neither); verl's
 * default aggregation is token-mean. β = 0 here, so that no reference policy is needed (0.04 in the paper, 0.001 in
 * verl); verl also bounds the loss where A < 0 (dualClip 3). The form with a reward for every step of reasoning is not here.
 * Source confidence: exact (verl).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { clipped, dualClipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";
import { klCoefficient, withReferenceKl } from "./parts/reference.js";

export const grpoParams = z.strictObject({
  ...groupParams,
  ...dualClipWindow(0.2, 0.2, null),
  klCoefficient,
  stdEpsilon,
});

export const grpo: RecipeDefinition<z.output<typeof grpoParams>> = {
  id: "grpo",
  summary: "Group relative policy optimisation (Shao et al. 2024)",
  source: { confidence: "exact", checked: "verl" },
  params: grpoParams,
  build(p) {
    const recipe = groupRecipe(p, {
      id: "grpo",
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: seqMeanTokenMean(),
    });
    return withReferenceKl(recipe, p.klCoefficient, seqMeanTokenMean());
  },
};
