/**
 * Group sequence policy optimisation (Zheng et al. 2025, arXiv:2507.18071): one ratio for a whole row, the geometric mean
 * of its steps' ratios, clipped as one.
 *
 *   s_i = exp(mean_t Δ_t); loss = seq-mean-token-mean of ppoClip(s_i, A_i), A_i as in GRPO
 *
 * Trap: s_i is far nearer to 1 than a step's ratio, so ε is of the order of 1e-4. Always seq-mean-token-mean. Source
 * confidence: exact (verl; ε from TRL's index of papers).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...groupParams, ...clipWindow(3e-4, 4e-4), stdEpsilon });

export const gspo: RecipeDefinition<z.output<typeof params>> = {
  id: "gspo",
  summary: "Group sequence policy optimisation: one ratio a row (Zheng et al. 2025)",
  source: { confidence: "exact", checked: "verl; ε from TRL's index of papers" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "gspo",
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: seqMeanTokenMean(),
      ratio: "sequence",
    }),
};
