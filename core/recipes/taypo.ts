/**
 * Taylor expansion policy optimisation of second order (Tang et al. 2020, arXiv:2003.06259): the return of π expanded around
 * that of the policy μ that acted, in the excess d_t = ρ_t − 1 of every step's ratio; PPO is the first order.
 *
 *   maximise Σ_t d_t·Â_t + Σ_{s<t} γ^{t−s}·d_s·d_t·Â_t along each row
 *
 * Its slope by ρ_s is an advantage of its own, formed of the live ratios on each minibatch of whole rows, and used in PPO's
 * clipped surrogate; other steps' ratios are clipped to the same window. The loss reported is the surrogate's, not the objective.
 * Traps: rows are fragments, so pairs of steps across a cut are left out; with γ near 1 and long rows the sums over a row are
 * long too, which the clip bounds. Source confidence: derived (U_K from the paper's statement of it; discounts by the distance of
 * steps, the mean over steps and the clip are practice as it is told).
 */
import { z } from "zod";
import { tokenLogRatios } from "../algo/ratio.js";
import { secondOrderAdvantages } from "../algo/taylor.js";
import { criticAdvantages, criticTrackers } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { clipEpsilon, criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { clipTerm, entropyTerm, valueTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...updateParams,
  minibatches: updateParams.minibatches.describe("Minibatches of each pass, each of whole rows"),
  ...criticParams,
  clipEpsilon,
  entropyCoefficient,
  pairDiscount: z
    .number()
    .min(0)
    .max(1)
    .default(0.99)
    .describe("γ of pairs of steps, per step between them; 0 = first order alone"),
});
type Params = z.output<typeof params>;

function secondOrder({ pairDiscount, clipEpsilon: epsilon }: Params): Derive {
  return {
    ...{ id: "secondOrder", when: "step", live: ["logprob"] },
    needs: ["advantages", "oldLogprobs"],
    writes: ["advantages"],
    run(batch, { live }) {
      const { mask, offsets } = batch;
      const logRatios = tokenLogRatios(liveColumn(live, "logprob"), stepColumn(batch, "oldLogprobs"));
      const input = { logRatios, advantages: stepColumn(batch, "advantages"), mask, offsets };
      const parameters = { gamma: pairDiscount, clipEpsilon: epsilon };
      return { step: { advantages: secondOrderAdvantages(input, parameters) } };
    },
  };
}

export const taypo: RecipeDefinition<Params> = {
  id: "taypo",
  summary: "Second-order Taylor expansion of the return in the ratios of a row (Tang et al. 2020)",
  source: { confidence: "derived", checked: "U_K as stated; the form for deep networks is practice as told" },
  params,
  build: (p) => ({
    id: "taypo",
    requires: ["value"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: ["value"],
    derive: [...criticAdvantages(p), secondOrder(p)],
    terms: [clipTerm(p.clipEpsilon), valueTerm(p), entropyTerm(p.entropyCoefficient)],
    trackers: criticTrackers(p),
    update: updatePlan(p, "rows"),
  }),
};
