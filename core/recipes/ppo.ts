/**
 * Proximal policy optimisation with a clipped surrogate (Schulman et al. 2017, arXiv:1707.06347; GAE: Schulman et
 * al. 2016). Defaults follow "The 37 implementation details of PPO" (Huang et al. 2022) for CartPole.
 *
 *   loss = mean ppoClip(ρ, Â; ε) + c_v·½ mean (v − R)² [clipped] − c_e·mean H
 *
 * ρ = π/π_behaviour; Â by GAE with the values of the weights that seal the batch, normalised in each minibatch
 * (mean, Bessel-corrected standard deviation + 1e-8); R = Â + V before that normalisation. Truncated rows bootstrap
 * from their final observation, terminated ones do not. Source confidence: exact (CleanRL's ppo.py).
 */
import { z } from "zod";
import { criticAdvantages, criticTrackers } from "./parts/advantages.js";
import { clipEpsilon, criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { RecipeDefinition } from "../slots/recipe.js";
import { clipTerm, entropyTerm, valueTerm } from "./parts/terms.js";

export const ppoParams = z.strictObject({
  ...updateParams,
  ...criticParams,
  clipEpsilon,
  entropyCoefficient,
});
type PpoParams = z.output<typeof ppoParams>;

export const ppo: RecipeDefinition<PpoParams> = {
  id: "ppo",
  summary: "Proximal policy optimisation, clipped surrogate, GAE (Schulman et al. 2017)",
  source: { confidence: "exact", checked: "CleanRL's ppo.py" },
  params: ppoParams,
  build: (p) => ({
    id: "ppo",
    requires: ["value"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: ["value"],
    derive: criticAdvantages(p),
    terms: [clipTerm(p.clipEpsilon), valueTerm(p), entropyTerm(p.entropyCoefficient)],
    trackers: criticTrackers(p),
    update: updatePlan(p, "steps"),
  }),
};
