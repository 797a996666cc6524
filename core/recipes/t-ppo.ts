/**
 * Truncated PPO (Fan et al. 2025, arXiv:2506.15050): the policy is trained on windows of trajectories that have not ended, each step
 * once and as soon as it is there; the critic on trajectories that have, against their Monte-Carlo returns.
 *
 *   δ_t = r_t + γV_{t+1} − V_t, Â by GAE; at a cut V(s_l) = V(s_{l−1}), so that there δ = r + γV(s_{l−1}) − V(s_{l−1}) (EGAE)
 *   loss = token-mean ppoClip(ρ, Â) over new steps + c_v·½(v − G)² over the steps of trajectories that ended
 *
 * Fragments are the windows: an unfinished trajectory goes on in the next one with newer weights. Its rows are kept until
 * it ends, and are then the critic's, all of them once. Traps: rows are forgotten after keepBatches batches and by a learner
 * that resumes, and a row that was dropped as stale leaves those before it without a return; G and V are undiscounted by
 * default. Source confidence: note (notes on the paper; whitening and the value loss are those of PPO).
 */
import { z } from "zod";
import { gae, valuesAfterCuts } from "../algo/gae.js";
import { trajectoryReturns } from "../algo/returns.js";
import { whiten } from "../algo/statistics.js";
import { returnsInput } from "./parts/advantages.js";
import { rowColumn, selectedMask, stepColumn } from "../slots/batch.js";
import { clipEpsilon, criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { Derive, Recipe, RecipeDefinition } from "../slots/recipe.js";
import { clipTerm, entropyTerm, valueTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...updateParams,
  gamma: criticParams.gamma.default(1).describe("Discount per step, γ"),
  lambda: criticParams.lambda,
  clipEpsilon,
  valueCoefficient: criticParams.valueCoefficient,
  entropyCoefficient,
  normalizeAdvantages: z.boolean().default(true).describe("Whiten the advantages of a batch's new steps"),
  keepBatches: z
    .int()
    .min(1)
    .max(10_000)
    .default(50)
    .describe("Batches after which the rows of a trajectory that goes on are forgotten"),
});
type Params = z.output<typeof params>;

function extendedGae({ gamma, lambda, normalizeAdvantages }: Params): Derive {
  return {
    ...{ id: "extendedGae", when: "seal", writes: ["advantages"] },
    needs: ["rewards", "values", "fresh"],
    run(batch) {
      const input = { ...returnsInput(batch), values: stepColumn(batch, "values") };
      const bootstrapValues = valuesAfterCuts(input, rowColumn(batch, "truncated"));
      const { advantages } = gae({ ...input, bootstrapValues }, { gamma, lambda });
      const fresh = selectedMask(batch, "fresh");
      return { step: { advantages: normalizeAdvantages ? whiten(advantages, fresh) : advantages } };
    },
  };
}

/** A seat's fragments are numbered by `group`, one after the other. */
function returnsOfFinished({ gamma }: Params): Derive {
  return {
    ...{ id: "returnsOfFinished", when: "seal", needs: ["rewards"], writes: ["returns", "finished"] },
    run(batch) {
      const [trajectories, parts] = [rowColumn(batch, "trajectory"), rowColumn(batch, "group")];
      const rows = { trajectories, parts, truncated: rowColumn(batch, "truncated") };
      return { step: trajectoryReturns({ ...returnsInput(batch), ...rows }, gamma) };
    },
  };
}

export const tPpo: RecipeDefinition<Params> = {
  id: "t-ppo",
  summary: "Truncated PPO: windows train the policy, finished trajectories the critic (Fan et al. 2025)",
  source: { confidence: "note", checked: "notes on the paper" },
  params,
  build(p): Recipe {
    const value = { valueClipEpsilon: null, valueCoefficient: p.valueCoefficient };
    return {
      id: "t-ppo",
      requires: ["value"],
      sampler: { batchSteps: p.batchSteps },
      keepUnfinished: { maxBatches: p.keepBatches },
      evaluate: ["value"],
      derive: [extendedGae(p), returnsOfFinished(p)],
      terms: [
        clipTerm(p.clipEpsilon, { select: "fresh" }),
        valueTerm(value, { select: "finished" }),
        { ...entropyTerm(p.entropyCoefficient), select: "fresh" },
      ],
      trackers: {},
      update: updatePlan(p, "steps"),
    };
  },
};
