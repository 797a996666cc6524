/**
 * Soft adaptive policy optimisation (Gao et al. 2025): in place of a clip a gate that falls off smoothly
 * on either side of ρ = 1, faster where the advantage is negative.
 *
 *   loss = seq-mean-token-mean of −A_i·(4/τ)·σ(τ(ρ_t − 1)), A_i as in GRPO
 *
 * Trap: τ of negative advantages is the larger one: they move many more unsampled actions than they name. Source
 * confidence: exact.
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { softGate } from "../algo/surrogates.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const tau = z.number().positive().max(1000);
const params = z.strictObject({
  ...groupParams,
  tauPositive: tau.default(1).describe("How fast the gate closes where the advantage is positive"),
  tauNegative: tau.default(1.05).describe("How fast the gate closes elsewhere"),
  stdEpsilon,
});

export const sapo: RecipeDefinition<z.output<typeof params>> = {
  id: "sapo",
  summary: "A soft gate in place of GRPO's clip (Gao et al. 2025)",
  source: { confidence: "exact", checked: "the formula" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "sapo",
      advantages: standardizedByGroup(p.stdEpsilon),
      surrogate: softGate({ positive: p.tauPositive, negative: p.tauNegative }),
      aggregator: seqMeanTokenMean(),
      window: null,
    }),
};
