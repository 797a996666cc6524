/**
 * V-trace actor–critic, the learner of IMPALA (Espeholt et al. 2018, arXiv:1802.01561): actors lag behind, and truncated
 * ratios of the live policy to theirs correct value targets and policy gradient.
 *
 *   δ_t = min(ρ̄, ρ_t)(r_t + γV_{t+1} − V_t), v_t = V_t + δ_t + γ·λ·min(1, ρ_t)(v_{t+1} − V_{t+1})
 *   loss = Σ −ℓ_t·min(ρ̄_pg, ρ_t)(r_t + γv_{t+1} − V_t) + c_v·½(v_t − V_t)² − c_e·H_t
 *
 * ρ, V and v are those of the weights that take the step, computed anew on each minibatch; what a row bootstraps from is the
 * value stored when the batch was sealed. Traps: sums, not means, so maxGradNorm is of the size of a batch; rewards are
 * clipped to ±1 as for Atari (rewardClip: null leaves them); Adam here, RMSProp in the paper. Source confidence: exact
 * (scalable_agent's vtrace.py; rlax).
 */
import { z } from "zod";
import { tokenSum } from "../algo/aggregate.js";
import { clamp, tokenLogRatios } from "../algo/ratio.js";
import { reinforce } from "../algo/surrogates.js";
import { vtrace as vtraceOf, type VtraceParameters } from "../algo/vtrace.js";
import { returnsInput } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { criticParams, entropyCoefficient, share, updateParams, updatePlan } from "./parts/params.js";
import type { Derive, Recipe, RecipeDefinition } from "../slots/recipe.js";
import { entropyTerm, policyTerm, valueTerm } from "./parts/terms.js";

const ratioBound = z.number().positive().max(1e6).default(1);

const params = z.strictObject({
  ...updateParams,
  epochs: updateParams.epochs.default(1).describe("Passes over each batch"),
  minibatches: updateParams.minibatches.default(1).describe("Minibatches of each pass, each of whole rows"),
  learningRate: updateParams.learningRate.default(4.8e-4).describe("Adam's step size"),
  maxGradNorm: updateParams.maxGradNorm
    .default(40)
    .describe("Global L2 norm to which gradients, of a sum over steps, are clipped"),
  gamma: criticParams.gamma,
  lambda: share.default(1).describe("λ of the traces"),
  maxRatio: ratioBound.describe("The ratio is cut off here in the value targets"),
  maxPolicyRatio: ratioBound.describe("The ratio is cut off here in the policy gradient"),
  rewardClip: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe("Rewards are clipped to ± this; null = as they are"),
  valueCoefficient: criticParams.valueCoefficient,
  entropyCoefficient: entropyCoefficient.default(2.5e-4).describe("Weight c_e of the entropy bonus"),
});

function clipRewards(bound: number): Derive {
  return {
    ...{ id: "clipRewards", when: "seal", needs: ["rewards"], writes: ["rewards"] },
    run: (batch) => ({ step: { rewards: stepColumn(batch, "rewards").map((r) => clamp(r, -bound, bound)) } }),
  };
}

function correct(parameters: VtraceParameters): Derive {
  return {
    ...{ id: "vtrace", when: "step", live: ["logprob", "value"] },
    ...{ needs: ["rewards", "behaviorLogprobs"], writes: ["advantages", "returns"] },
    run(batch, { live }) {
      const values = liveColumn(live, "value");
      const logRatios = tokenLogRatios(liveColumn(live, "logprob"), stepColumn(batch, "behaviorLogprobs"));
      const { advantages, returns } = vtraceOf({ ...returnsInput(batch), values, logRatios }, parameters);
      return { step: { advantages, returns } };
    },
  };
}

export const vtrace: RecipeDefinition<z.output<typeof params>> = {
  id: "vtrace",
  summary: "V-trace: truncated live ratios correct targets and gradient (IMPALA, Espeholt et al. 2018)",
  source: { confidence: "exact", checked: "scalable_agent's vtrace.py; rlax" },
  params,
  build(p): Recipe {
    const sum = tokenSum(1);
    return {
      id: "vtrace",
      requires: ["value"],
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["value"],
      derive: [...(p.rewardClip === null ? [] : [clipRewards(p.rewardClip)]), correct(p)],
      terms: [
        policyTerm({ surrogate: reinforce(), aggregator: sum, window: null }),
        valueTerm({ valueClipEpsilon: null, valueCoefficient: p.valueCoefficient }, { aggregator: sum }),
        entropyTerm(p.entropyCoefficient, sum),
      ],
      trackers: {},
      update: updatePlan(p, "rows"),
    };
  },
};
