/**
 * PPO-max (Zheng et al. 2023, "Secrets of RLHF, part I", arXiv:2307.04964): PPO on scored episodes with the tricks that
 * keep a policy near its reference.
 *
 *   R ← clip(R/std, ±c_R) with the running std of all scores so far, or (R − mean)/std; r_t = −w·(ℓ^o_t − ℓ^r_t), and R on the
 *   row's last step; Â by GAE, whitened over the batch (population variance) and clipped to ±c_A
 *   loss = token-mean ppoClip(ρ, Â) + c_v·½(v − R_t)² [clipped]
 *
 * An episode's score is the sum of its rewards, which take no part beside it. Traps: moments are updated before they are
 * used; whitening comes after the value targets. Left out: the paper's pretraining term (there is no such data here) and its
 * entropy loss of weight 0. Source confidence: exact (MOSS-RLHF).
 */
import { z } from "zod";
import { klShapedRewards } from "../algo/kl.js";
import { within } from "../algo/ratio.js";
import { initialMoments, observe, std, type RunningMoments } from "../algo/running-moments.js";
import { lastChosen } from "../algo/selection.js";
import { whitenPopulation } from "../algo/statistics.js";
import { generalizedAdvantages } from "./parts/advantages.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipEpsilon, criticParams, updateParams, updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition, Tracker } from "../slots/recipe.js";
import { clipTerm, valueTerm } from "./parts/terms.js";

const bound = z.number().positive().nullable();

const params = z.strictObject({
  ...updateParams,
  gamma: criticParams.gamma.default(1).describe("Discount per step, γ"),
  lambda: criticParams.lambda,
  clipEpsilon,
  valueClipEpsilon: criticParams.valueClipEpsilon,
  valueCoefficient: criticParams.valueCoefficient.default(1).describe("Weight c_v of the value loss"),
  scoring: z
    .enum(["scale", "normalise"])
    .default("scale")
    .describe("scale = scores over their running std; normalise = their running mean taken away first"),
  scoreClip: bound.default(10).describe("Scores are clipped to ± this after that; null = as they are"),
  klCoefficient: z
    .number()
    .min(0)
    .default(0.02)
    .describe("Weight w of the KL to the reference, in the reward"),
  whitenAdvantages: z.boolean().default(true).describe("Whiten advantages over the batch"),
  advantageClip: bound.default(0.5).describe("Advantages are clipped to ± this; null = as they are"),
});
type Params = z.output<typeof params>;

const scoresTracker: Tracker<RunningMoments> = {
  initial: initialMoments,
  observe: (state, batch) => observe(state, rowColumn(batch, "score")),
  read: (state) => ({ mean: state.mean, std: std(state) }),
};

/** −w·(ℓ^o − ℓ^r) at every step, and the row's score, scaled and clipped, at the last that the policy chose. */
function shapeRewards({ scoring, scoreClip, klCoefficient }: Params): Derive {
  return {
    ...{ id: "shapeRewards", when: "seal", writes: ["rewards"] },
    needs: ["oldLogprobs", "referenceLogprobs"],
    run(batch, { readings }) {
      const { mask, offsets } = batch;
      const { mean = 0, std: deviation = 1 } = readings["scores"] ?? {};
      const rewards = new Float64Array(mask.length);
      const last = lastChosen(mask, offsets);
      rowColumn(batch, "score").forEach((score, row) => {
        const scaled = (scoring === "scale" ? score : score - mean) / deviation;
        if (last[row]! >= 0) rewards[last[row]!] = within(scaled, scoreClip);
      });
      const oldLogprobs = stepColumn(batch, "oldLogprobs");
      const refLogprobs = stepColumn(batch, "referenceLogprobs");
      return {
        step: { rewards: klShapedRewards({ rewards, oldLogprobs, refLogprobs, mask }, klCoefficient) },
      };
    },
  };
}

function boundAdvantages({ whitenAdvantages, advantageClip }: Params): Derive {
  return {
    ...{ id: "boundAdvantages", when: "seal", needs: ["advantages"], writes: ["advantages"] },
    run(batch) {
      const advantages = stepColumn(batch, "advantages");
      const white = whitenAdvantages ? whitenPopulation(advantages, batch.mask) : advantages;
      return { step: { advantages: white.map((x) => within(x, advantageClip)) } };
    },
  };
}

export const ppoMax: RecipeDefinition<Params> = {
  id: "ppo-max",
  summary: "PPO-max: scaled scores, KL in the reward, clipped advantages (Zheng et al. 2023)",
  source: { confidence: "exact", checked: "MOSS-RLHF; without its pretraining term" },
  params,
  build: (p) => ({
    id: "ppo-max",
    requires: ["groups", "value", "reference"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: ["value"],
    evaluateReference: ["logprob"],
    derive: [shapeRewards(p), generalizedAdvantages(p), boundAdvantages(p)],
    terms: [clipTerm(p.clipEpsilon), valueTerm(p)],
    trackers: { scores: scoresTracker },
    update: updatePlan(p, "steps"),
  }),
};
