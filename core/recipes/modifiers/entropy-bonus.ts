/**
 * A bonus for the policy's entropy: loss −= c_e·mean H, the exact entropy of each step's distribution.
 *
 * Trap: c_e is in units of the loss, so it means more where advantages are small. Source confidence: exact (Mnih et
 * al. 2016).
 */
import { z } from "zod";
import { entropyCoefficient } from "../parts/params.js";
import type { ModifierDefinition } from "../../slots/recipe.js";
import { refusal } from "./refusal.js";
import { entropyTerm } from "../parts/terms.js";

const params = z.strictObject({ entropyCoefficient });

export const entropyBonus: ModifierDefinition<z.output<typeof params>> = {
  id: "entropy-bonus",
  summary: "A bonus for the policy's entropy (Mnih et al. 2016)",
  source: { confidence: "exact", checked: "CleanRL's ppo.py" },
  params,
  apply(recipe, p) {
    const term = entropyTerm(p.entropyCoefficient);
    if (recipe.terms.some(({ id }) => id === term.id)) {
      throw refusal("entropy-bonus", recipe, "has a bonus of its own: set recipe.params.entropyCoefficient");
    }
    return { ...recipe, terms: [...recipe.terms, term] };
  },
};
