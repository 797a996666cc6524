/**
 * Proximal policy optimisation with an adaptive KL penalty in place of the clip (Schulman et al. 2017, arXiv:1707.06347, §4).
 *
 *   loss = −mean[ρ·Â] + β·mean KL(π_old(·|s) ‖ π(·|s)) + value and entropy as in PPO
 *   after each batch, with d the KL that it came to: β ← β/2 if d < d_targ/1.5, β ← 2β if d > 1.5·d_targ
 *
 * The KL is exact, of whole action distributions: π_old is the policy that sealed the batch. Trap: d is the mean over the
 * last pass's minibatches, each before its step, so a batch of one step measures 0 and β only falls: train several passes.
 * Source confidence: note (the rule and d_targ as they are generally told; the KL in closed form).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { doublingKlStep } from "../algo/kl-controller.js";
import { importanceSampling } from "../algo/surrogates.js";
import { criticAdvantages, criticTrackers } from "./parts/advantages.js";
import { criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { Recipe, RecipeDefinition, Tracker } from "../slots/recipe.js";
import { entropyTerm, policyKlTerm, policyTerm, valueTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...updateParams,
  ...criticParams,
  entropyCoefficient,
  klTarget: z.number().positive().max(10).default(0.01).describe("KL that a batch is to come to, nats"),
  initialBeta: z.number().positive().max(1e6).default(1).describe("Weight β of the KL in the first batch"),
});

function betaTracker(initial: number, target: number): Tracker<number> {
  return {
    initial,
    observe: (beta) => beta,
    conclude: (beta, _stats, { policyKl }) =>
      policyKl === undefined ? beta : doublingKlStep(beta, policyKl, target),
    read: (beta) => ({ beta }),
  };
}

export const ppoKl: RecipeDefinition<z.output<typeof params>> = {
  id: "ppo-kl",
  summary: "PPO with an exact KL penalty of adaptive weight in place of the clip (Schulman et al. 2017)",
  source: { confidence: "note", checked: "the rule as it is generally told; the KL in closed form" },
  params,
  build(p): Recipe {
    return {
      id: "ppo-kl",
      requires: ["value", "exactKl"],
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["value", "policy"],
      derive: criticAdvantages(p),
      terms: [
        policyTerm({ surrogate: importanceSampling(), aggregator: tokenMean(), window: null }),
        policyKlTerm({ tracker: "klWeight", name: "beta" }),
        valueTerm(p),
        entropyTerm(p.entropyCoefficient),
      ],
      trackers: {
        klWeight: betaTracker(p.initialBeta, p.klTarget),
        ...criticTrackers(p),
      },
      update: updatePlan(p, "steps"),
    };
  },
};
