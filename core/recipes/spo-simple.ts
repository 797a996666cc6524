/**
 * Simple policy optimisation (Xie et al. 2024, arXiv:2401.16025): in place of PPO's clip a quadratic penalty whose
 * optimum lies on the edge of the trust region, so that ratios beyond it are pulled back.
 *
 *   loss = −mean[A·ρ − |A|·(ρ − 1)²/(2ε)] + value and entropy as in PPO
 *
 * Trap: the gradient is not bounded in ρ; keep the gradient clip. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { spo } from "../algo/surrogates.js";
import { criticAdvantages, criticTrackers } from "./parts/advantages.js";
import { clipEpsilon, criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { Recipe, RecipeDefinition } from "../slots/recipe.js";
import { entropyTerm, policyTerm, valueTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...updateParams,
  ...criticParams,
  clipEpsilon: clipEpsilon.describe("Edge ε of the trust region: the penalty's optimum is ρ = 1 ± ε"),
  entropyCoefficient,
});

export const spoSimple: RecipeDefinition<z.output<typeof params>> = {
  id: "spo-simple",
  summary: "Simple policy optimisation: a quadratic penalty in place of PPO's clip (Xie et al. 2024)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p): Recipe {
    const surrogate = spo({ epsilon: p.clipEpsilon });
    return {
      id: "spo-simple",
      requires: ["value"],
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["value"],
      derive: criticAdvantages(p),
      terms: [
        policyTerm({ surrogate, aggregator: tokenMean(), window: null }),
        valueTerm(p),
        entropyTerm(p.entropyCoefficient),
      ],
      trackers: criticTrackers(p),
      update: updatePlan(p, "steps"),
    };
  },
};
