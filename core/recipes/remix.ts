/**
 * Mix-policy proximal policy gradient (Liang et al. 2025, ReMix, arXiv:2507.06892): rows of the last two policies are
 * used again, in a window around where the policy at hand is and not around 1, under a pull to two policies.
 *
 *   r_t = exp(ℓ − ℓ^b), c_t = exp(ℓ^k − ℓ^b); loss = −min(r·A, clip(r, c − ε, c + ε)·A)
 *        + β·[λ·k3(π ‖ π_ref) + (1 − λ)·k3(π ‖ π_k)] − c_e·H;  λ(t) = max(1 − 0.1·⌈max(t − 50, 0)/10⌉, 0.5)
 *
 * ℓ^b of the policy that acted, ℓ^k of the weights that seal the batch; t counts batches, A as in GRPO. On new rows c
 * ≈ 1. Share 0.4 of two batches, two epochs. The paper's reincarnation (the reference becomes the policy of step T) is
 * `reference.refreshEvery` of the run file, which comes back every T versions and leaves optimiser and replay as they
 * are. Traps: the paper's second pull is to the policy before the last update, here to the last; β and c_e are not the
 * paper's. Source confidence: note.
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { approximateKl, klK3 } from "../algo/kl.js";
import { ratios, tokenLogRatios } from "../algo/ratio.js";
import { ppoClip } from "../algo/surrogates.js";
import { groupAdvantages, standardizedByGroup } from "./parts/advantages.js";
import { stepColumn } from "../slots/batch.js";
import { groupParams, stdEpsilon } from "./parts/group-recipe.js";
import { replay, replayParams } from "./modifiers/replay.js";
import { clipEpsilon, share, updatePlan, weight } from "./parts/params.js";
import type { Derive, Reading, Recipe, RecipeDefinition, Term, Tracker } from "../slots/recipe.js";
import { entropyTerm, klTerm, referenceKlTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  ...replayParams.shape,
  epochs: groupParams.epochs.default(2).describe("Passes over each batch"),
  clipEpsilon: clipEpsilon.describe("Half-width ε of the window around the policy at hand"),
  entropyCoefficient: groupParams.entropyCoefficient
    .default(0.01)
    .describe("Weight c_e of the entropy bonus"),
  stdEpsilon,
  klCoefficient: weight.default(0.04).describe("Weight β of both pulls together"),
  klDecayAfter: z.int().min(0).default(50).describe("Batches after which the pull to the reference lets up"),
  klDecayEvery: z.int().min(1).default(10).describe("Batches in which it lets up by a tenth"),
  klFloor: share.default(0.5).describe("Share λ of the pull to the reference at least"),
});
type RemixParams = z.output<typeof params>;

/** c = π_k/π_b */
const clipCentres: Derive = {
  ...{ id: "clipCentres", when: "seal", writes: ["clipCentres"] },
  needs: ["proximalLogprobs", "behaviorLogprobs"],
  run(batch) {
    const last = stepColumn(batch, "proximalLogprobs");
    return { step: { clipCentres: ratios(tokenLogRatios(last, stepColumn(batch, "behaviorLogprobs"))) } };
  },
};

function mixPolicyTerm(epsilon: number): Term {
  return {
    ...{ id: "policyLoss", on: "logprob", coefficient: 1, aggregator: seqMeanTokenMean() },
    needs: ["advantages", "behaviorLogprobs", "clipCentres"],
    evaluate(logprobs, batch, out) {
      const logRatios = tokenLogRatios(logprobs, stepColumn(batch, "behaviorLogprobs"));
      const advantages = stepColumn(batch, "advantages");
      const clip = ppoClip({ low: epsilon, high: epsilon }, stepColumn(batch, "clipCentres"));
      clip({ logprobs, logRatios, advantages }, out);
      return { klK3: approximateKl(logRatios, batch.mask) };
    },
  };
}

/** State: batches trained. Shows β·λ and β·(1 − λ). */
function pullTracker({ klCoefficient, klDecayAfter, klDecayEvery, klFloor }: RemixParams): Tracker<number> {
  return {
    initial: 0,
    observe: (batches) => batches,
    conclude: (batches) => batches + 1,
    read(batches) {
      const decays = Math.ceil(Math.max(batches - klDecayAfter, 0) / klDecayEvery);
      const lambda = Math.max(1 - 0.1 * decays, klFloor);
      return { reference: klCoefficient * lambda, last: klCoefficient * (1 - lambda) };
    },
  };
}

const lastKl = { id: "lastKl", estimator: klK3, to: "proximalLogprobs" } as const;
const pull = (name: "reference" | "last"): Reading => ({ tracker: "pull", name });

export const remix: RecipeDefinition<RemixParams> = {
  id: "remix",
  summary: "Rows of the last policies used again, in a window around the policy at hand (Liang et al. 2025)",
  source: { confidence: "note", checked: "a summary of the paper" },
  params,
  build(p) {
    const aggregator = seqMeanTokenMean();
    const recipe: Recipe = {
      id: "remix",
      requires: ["groups", "reference"],
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["logprob"],
      evaluateReference: ["logprob"],
      derive: [groupAdvantages("groupAdvantages", standardizedByGroup(p.stdEpsilon)), clipCentres],
      terms: [
        mixPolicyTerm(p.clipEpsilon),
        referenceKlTerm(pull("reference"), aggregator),
        klTerm({ ...lastKl, coefficient: pull("last"), aggregator }),
        entropyTerm(p.entropyCoefficient),
      ],
      trackers: { pull: pullTracker(p) },
      update: updatePlan(p, "rows"),
    };
    return replay.apply(recipe, p);
  },
};
