/**
 * Truncated importance sampling (rollout correction; Yao et al. 2025): what acted and what is trained differ even for
 * equal weights (another engine, another precision, an older version); the loss of each step is weighed for it.
 *
 *   loss_t ← w_t·loss_t, w = min(exp(ℓ^o − ℓ^b), C), detached, denominators unchanged; ρ = exp(ℓ − ℓ^o)
 *
 * ℓ^o is computed with the weights that seal the batch, ℓ^b is the actor's. Bound: truncate (TIS), clamp, or mask
 * (IcePop; with weightMin 0 masked importance sampling). C = 2 as in verl and TRL. Trap: a row's sum of log-ratios
 * spreads with its length. Source confidence: exact (verl, TRL).
 */
import { z } from "zod";
import type { ImportanceBound } from "../../algo/importance.js";
import { SkeinError } from "../../errors.js";
import { corrected, normalizeWeights, weightLevel } from "./importance.js";
import type { ModifierDefinition } from "../../slots/recipe.js";

export const tisParams = z.strictObject({
  weightLevel,
  weightBound: z
    .enum(["truncate", "clamp", "mask"])
    .default("truncate")
    .describe(
      "Weights above weightMax become it; those below weightMin too (clamp); those outside become 0 (mask)",
    ),
  weightMax: z.number().positive().max(1e6).default(2).describe("Largest importance weight, C"),
  weightMin: z.number().min(0).max(1e6).default(0).describe("Smallest importance weight of clamp and mask"),
  normalizeWeights,
});
export type TisParams = z.output<typeof tisParams>;

function boundOf({ weightBound: kind, weightMin: low, weightMax: high }: TisParams): ImportanceBound {
  if (low >= high) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `modifier tis: expected weightMin below weightMax, ${high}, got ${low}`,
    );
  }
  return kind === "truncate" ? { kind, high } : { kind, low, high };
}

export const tis: ModifierDefinition<TisParams> = {
  id: "tis",
  summary: "Truncated importance weights for the policy that really acted (Yao et al. 2025)",
  source: { confidence: "exact", checked: "verl, TRL" },
  params: tisParams,
  apply: (recipe, p) =>
    corrected(recipe, "tis", {
      proximal: "recomputed",
      level: p.weightLevel,
      bound: boundOf(p),
      normalize: p.normalizeWeights,
    }),
};
