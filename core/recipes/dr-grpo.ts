/**
 * GRPO done right (Liu et al. 2025, arXiv:2503.20783): no division by the group's standard deviation, which weighs tasks
 * by difficulty, and a constant in place of each row's length, which favours long wrong rows.
 *
 *   A_i = r_i − mean_g; loss = Σ_i Σ_t ppoClip(ρ_t, A_i) / (B·L_max)
 *
 * Trap: verl leaves the 1/B out; here it is in. Source confidence: exact (verl's flags).
 */
import { z } from "zod";
import { seqMeanTokenSumNorm } from "../algo/aggregate.js";
import { centredByGroup } from "./parts/advantages.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  maxLength: z.int().min(1).max(1e8).default(500).describe("L_max: steps that a row may have"),
});

export const drGrpo: RecipeDefinition<z.output<typeof params>> = {
  id: "dr-grpo",
  summary: "GRPO without its difficulty and length biases (Liu et al. 2025)",
  source: { confidence: "exact", checked: "verl's flags" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "dr-grpo",
      advantages: centredByGroup("raw"),
      ...clipped(p),
      aggregator: seqMeanTokenSumNorm(p.maxLength),
    }),
};
