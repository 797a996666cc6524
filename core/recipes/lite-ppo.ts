/**
 * Lite PPO (Liu et al. 2025, "Tricks or traps?", arXiv:2508.08221): two tricks suffice without a critic: scores centred by
 * group and scaled by the whole batch, and every step counted the same.
 *
 *   A_i = (r_i − mean_g) / (std of the batch's scores + ε); loss = token-mean of ppoClip(ρ_t, A_i)
 *
 * Source confidence: from a note on the paper; TRL's and AReaL's code agree.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { centredByGroupScaledByBatch } from "./parts/advantages.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...groupParams, ...clipWindow(0.2, 0.2), stdEpsilon });

export const litePpo: RecipeDefinition<z.output<typeof params>> = {
  id: "lite-ppo",
  summary: "Scores centred by group, scaled by batch, every step counted the same (Liu et al. 2025)",
  source: { confidence: "note", checked: "a note on the paper; TRL's and AReaL's code agree" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "lite-ppo",
      advantages: centredByGroupScaledByBatch(p.stdEpsilon),
      ...clipped(p),
      aggregator: tokenMean(),
    }),
};
