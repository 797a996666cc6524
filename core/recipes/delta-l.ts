/**
 * ΔL normalisation (2025): the variance of a row's gradient grows with its length L, so rows are weighted by
 * L^(−α), which is unbiased and of least variance at α = 1.
 *
 *   loss = Σ_i Σ_t x_i·ppoClip(ρ_t, A_i) / (B·W), x_i = L_i^(−α) / mean_j L_j^(−α), A_i as in GRPO
 *
 * α = 0 is Dr. GRPO's constant, α = 1 weighs rows as GRPO does. Trap: the released code's W is the padded width, which
 * changes from batch to batch; here it is a parameter. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { deltaL as lengthWeights } from "../algo/aggregate.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.3),
  stdEpsilon,
  alpha: z.number().min(0).max(2).default(1).describe("α: 0 = every step counts the same, 1 = every row"),
  maxLength: z.int().min(1).max(1e8).default(500).describe("W: steps that a row may have"),
});

export const deltaL: RecipeDefinition<z.output<typeof params>> = {
  id: "delta-l",
  summary: "Rows weighted by a power of their length, for least variance (ΔL normalisation, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "delta-l",
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: lengthWeights({ alpha: p.alpha, width: p.maxLength }),
    }),
};
