/**
 * Clip-Cov (Cui et al. 2025, "The entropy mechanism", arXiv:2505.22617): entropy falls by the covariance of logprob and
 * advantage, of which a few steps make most; some of those are left out, drawn at random.
 *
 *   cov_t = (A_t − mean A)·(ℓ_t − mean ℓ) over the minibatch's N chosen steps, ℓ live
 *   k = min(max(⌊share·N⌋, 1), candidates) of the steps with covLow < cov_t < covHigh that ppoClip does not clip get weight 0
 *   loss = token-mean of w_t·ppoClip(ρ_t, A_i), A_i as in GRPO
 *
 * Defaults are the authors' script, whose ratio clip of 1 hardly ever binds. Traps: what is left out stays in the
 * denominator; at least one candidate is always left out, which is much of a small minibatch. Source confidence: exact (verl, the
 * authors' code).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { tokenLogRatios } from "../algo/ratio.js";
import { chosenSteps } from "../algo/selection.js";
import { centredProducts } from "../algo/statistics.js";
import { isClipped } from "../algo/surrogates.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon, windowOf } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(1, 1),
  stdEpsilon,
  share: z.number().min(0).max(1).default(2e-4).describe("Share of a minibatch's steps that is left out"),
  covLow: z.number().default(1).describe("Covariance above which a step may be left out"),
  covHigh: z.number().default(5).describe("Covariance below which a step may be left out"),
});
type Params = z.output<typeof params>;

function withoutSomeOfHighCovariance(p: Params): Derive {
  const window = windowOf(p);
  return {
    ...{ id: "clipCovariance", when: "step", live: ["logprob"] },
    ...{ needs: ["advantages", "oldLogprobs"], writes: ["covarianceWeights"] },
    run(batch, { live, random }) {
      const advantages = stepColumn(batch, "advantages");
      const logprobs = liveColumn(live, "logprob");
      const logRatios = tokenLogRatios(logprobs, stepColumn(batch, "oldLogprobs"));
      const covariances = centredProducts(advantages, logprobs, batch.mask);
      const chosen = chosenSteps(batch.mask);
      const candidates = chosen.filter(
        (t) =>
          covariances[t]! > p.covLow &&
          covariances[t]! < p.covHigh &&
          !isClipped(Math.exp(logRatios[t]!), advantages[t]!, window),
      );
      random.shuffle(candidates);
      const covarianceWeights = new Float64Array(batch.mask.length).fill(1);
      const count = Math.max(Math.floor(p.share * chosen.length), 1);
      for (const t of candidates.subarray(0, count)) covarianceWeights[t] = 0;
      return { step: { covarianceWeights } };
    },
  };
}

export const clipCov: RecipeDefinition<Params> = {
  id: "clip-cov",
  summary: "Some steps of high covariance are left out, so that entropy lasts (Cui et al. 2025)",
  source: { confidence: "exact", checked: "verl, the authors' code" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "clip-cov",
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [withoutSomeOfHighCovariance(p)],
      ...clipped(p),
      aggregator: tokenMean(),
      weights: ["covarianceWeights"],
    }),
};
