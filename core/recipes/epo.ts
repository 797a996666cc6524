/**
 * Entropy-regularised policy optimisation for agents (Xu et al. 2025, arXiv:2509.22576): over many turns of sparse reward a
 * policy first collapses and then goes wild; its entropy is kept near what it was at the same step of earlier episodes.
 *
 *   loss = token-mean of ppoClip(ρ_t, A_i) − c_e·(H_t − λ·w(e)·P_t), A_i as in GRPO, H̄_k: mean entropy at step k so far
 *   P_t = (κ_l·H̄_k − H_t)⁺ + (H_t − κ_r·H̄_k)⁺ at the k-th step of an episode; 0 where H̄_k is not known yet
 *   w(e) = 1 − .2·(1 − exp(−2e/M)) for e ≤ M/2, then .8·exp(−3e/M), e batches trained on
 *
 * Traps: the released penalty is constant outside the band and has no gradient; this is its hinge, whose slope is 1,
 * so that the released α has no place. The weight falls as in the release, while the paper lets it rise. The release also leaves
 * the penalty out while episodes are short. Source confidence: derived (the hinge); the rest exact (the authors' code).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { entropyHistoryTracker, pastEntropies } from "./parts/entropy-history.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { entropyCoefficient, expectBand } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { bandTerm } from "./parts/terms.js";

const HISTORY = "entropyHistory";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  entropyCoefficient: entropyCoefficient.default(1e-3).describe("Weight c_e of entropy bonus and band"),
  bandCoefficient: z.number().min(0).default(1).describe("Weight λ of the band beside the entropy bonus"),
  bandLow: z.number().min(0).default(0).describe("κ_l: the band begins at this many times past entropy"),
  bandHigh: z.number().min(0).default(2).describe("κ_r: the band ends at this many times past entropy"),
  bandBatches: z.int().min(1).max(1e9).default(150).describe("M: batches over which the band's weight falls"),
  bandSteps: z
    .int()
    .min(1)
    .max(1e5)
    .default(500)
    .describe("Steps of an episode with a past of their own; later ones share the last"),
});
type Params = z.output<typeof params>;

/** w(e) */
function phaseWeight(batches: number, span: number): number {
  const phase = batches / span;
  return phase <= 0.5 ? 1 - 0.2 * (1 - Math.exp(-2 * phase)) : 0.8 * Math.exp(-3 * phase);
}

function bandOfThePast({ bandLow, bandHigh, bandSteps }: Params): Derive {
  return {
    ...{ id: "entropyBand", when: "seal", needs: [], writes: ["entropyLow", "entropyHigh"] },
    run(batch, { readings }) {
      const past = pastEntropies(batch, readings, HISTORY, bandSteps);
      const entropyLow = past.map((mean) => (Number.isNaN(mean) ? -Infinity : bandLow * mean));
      const entropyHigh = past.map((mean) => (Number.isNaN(mean) ? Infinity : bandHigh * mean));
      return { step: { entropyLow, entropyHigh } };
    },
  };
}

export const epo: RecipeDefinition<Params> = {
  id: "epo",
  summary: "Entropy kept near what it was at the same step of earlier episodes (Xu et al. 2025)",
  source: { confidence: "derived", checked: "the authors' code, whose penalty has no gradient; its hinge" },
  params,
  build(p) {
    expectBand("epo", p);
    const weight = p.entropyCoefficient * p.bandCoefficient;
    const history = entropyHistoryTracker(p.bandSteps, (batches) => ({
      coefficient: weight * phaseWeight(batches, p.bandBatches),
    }));
    return groupRecipe(p, {
      id: "epo",
      requires: ["discrete"],
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [bandOfThePast(p)],
      ...clipped(p),
      aggregator: tokenMean(),
      terms: [bandTerm({ tracker: HISTORY, name: "coefficient" })],
      trackers: { [HISTORY]: history },
    });
  },
};
