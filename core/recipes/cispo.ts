/**
 * Clipped importance-weight policy optimisation (MiniMax-M1 2025, arXiv:2506.13585): the weight is clipped instead of
 * the update, so that no step loses its gradient.
 *
 *   loss = token-mean of −sg[min(ρ_t, 1 + clipHigh)]·A_i·ℓ_t, A_i as in GRPO
 *
 * Trap: the canonical form has no lower bound. Source confidence: exact form (verl); clipHigh unverified.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { cispo as clippedWeight } from "../algo/surrogates.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...groupParams, clipHigh: clipWindow(1, 4).clipHigh, stdEpsilon });

export const cispo: RecipeDefinition<z.output<typeof params>> = {
  id: "cispo",
  summary: "Clipped importance weights that keep every gradient (MiniMax-M1 2025)",
  source: { confidence: "exact", checked: "verl; the default of clipHigh is unverified" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "cispo",
      advantages: standardizedByGroup(p.stdEpsilon),
      surrogate: clippedWeight({ low: Infinity, high: p.clipHigh }),
      aggregator: tokenMean(),
      window: null,
    }),
};
