/**
 * Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300): baseline and scale of a row are the mean and
 * the Bessel-corrected standard deviation of its group's scores, so that no critic is needed.
 *
 *   A_i = (r_i − mean_g) / (std_g + ε); loss = seq-mean-token-mean of ppoClip(ρ_t, A_i)
 *
 * Traps: 1/L_i favours long wrong rows and the division by std easy and hard tasks (dr-grpo has neither); verl's
 * default aggregation is token-mean. The paper's KL to a reference policy is not part of it here. Source confidence: exact (verl).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { ppoClip } from "../algo/surrogates.js";
import { standardizedByGroup } from "./advantages.js";
import { clipWindow, groupParams, groupRecipe, stdEpsilon, windowOf } from "./group-recipe.js";
import type { RecipeDefinition } from "./recipe.js";

export const grpoParams = z.strictObject({ ...groupParams, ...clipWindow(0.2, 0.2), stdEpsilon });

export const grpo: RecipeDefinition<z.output<typeof grpoParams>> = {
  id: "grpo",
  summary: "Group relative policy optimisation (Shao et al. 2024)",
  source: { confidence: "exact", checked: "verl" },
  params: grpoParams,
  build: (p) =>
    groupRecipe(p, {
      id: "grpo",
      advantages: standardizedByGroup(p.stdEpsilon),
      surrogate: ppoClip(windowOf(p)),
      aggregator: seqMeanTokenMean(),
      window: windowOf(p),
    }),
};
