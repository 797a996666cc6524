/**
 * The decoupled objective (Hilton et al. 2022; Fu et al. 2025, AReaL, arXiv:2505.24298): the trust region lies around a
 * recent, proximal policy and not around the older one that acted, for which an importance weight makes up.
 *
 *   loss_t = w_t·clip loss of ρ_t = exp(ℓ − ℓ^p), w = exp(ℓ^p − ℓ^b), 0 where it is above the cap; denominators unchanged
 *
 * ℓ^p: computed with the weights that seal the batch, or interpolated between ℓ^b and the live ℓ by the versions that lie
 * between them, which spares a forward pass and is exact for neither. Cap 5. Trap: with an interpolated ℓ^p what a
 * recipe derives when a batch is sealed still sees ℓ^b. Source confidence: exact (AReaL).
 */
import { z } from "zod";
import { corrected, normalizeWeights, weightLevel } from "./importance.js";
import type { ModifierDefinition } from "../../slots/recipe.js";

export const decoupledParams = z.strictObject({
  proximal: z
    .enum(["recomputed", "interpolated"])
    .default("recomputed")
    .describe(
      "How log-probabilities of the proximal policy come about: a forward pass, or by policy versions",
    ),
  weightLevel,
  weightCap: z
    .number()
    .positive()
    .nullable()
    .default(5)
    .describe("Steps with a larger importance weight are left out; null = none are"),
  normalizeWeights,
});
export type DecoupledParams = z.output<typeof decoupledParams>;

export const decoupled: ModifierDefinition<DecoupledParams> = {
  id: "decoupled-ppo",
  summary:
    "A trust region around a recent policy, importance weights for the one that acted (Fu et al. 2025)",
  source: { confidence: "exact", checked: "AReaL" },
  params: decoupledParams,
  apply: (recipe, p) =>
    corrected(recipe, "decoupled-ppo", {
      proximal: p.proximal,
      level: p.weightLevel,
      bound: p.weightCap === null ? { kind: "none" } : { kind: "mask", low: 0, high: p.weightCap },
      normalize: p.normalizeWeights,
    }),
};
