/**
 * A penalty on the distance to a reference policy, in the loss (Shao et al. 2024, GRPO, eq. 4).
 *
 *   loss += β·agg(k3), k3 = e^{−D} + D − 1, D = ℓ − ℓ^r
 *
 * β = 0.04 as in DeepSeekMath. Traps: k3's gradient is not that of the KL (k2's is); rows count as the aggregator
 * says, not as the policy's term does unless both are the same. Source confidence: exact (verl).
 */
import { z } from "zod";
import { MEANS } from "../../algo/aggregate.js";
import type { ModifierDefinition } from "../../slots/recipe.js";
import { refusal } from "./refusal.js";
import { withReferenceKl } from "../parts/reference.js";
import { REFERENCE_KL } from "../parts/terms.js";

const params = z.strictObject({
  klCoefficient: z.number().positive().max(1000).default(0.04).describe("Weight β of the penalty"),
  klAggregator: z
    .enum(["token-mean", "seq-mean-token-mean"])
    .default("token-mean")
    .describe("Whether every step counts the same in the penalty, or every row"),
});

export const referenceKl: ModifierDefinition<z.output<typeof params>> = {
  id: "reference-kl",
  summary: "A penalty k3 on the distance to a reference policy (Shao et al. 2024)",
  source: { confidence: "exact", checked: "verl" },
  params,
  apply(recipe, p) {
    if (recipe.terms.some(({ id }) => id === REFERENCE_KL)) {
      throw refusal("reference-kl", recipe, "has a penalty of its own: set it in recipe.params");
    }
    return withReferenceKl(recipe, p.klCoefficient, MEANS[p.klAggregator]());
  },
};
