/**
 * Random policy valuation (He et al. 2025, ROVER, arXiv:2509.24981): where transitions are deterministic and reward comes
 * at the end, the values of the uniform policy say which action is best; logprobs, shifted by the old policy's, are regressed to them.
 *
 *   Q_t = ρ·(ℓ_t − ℓ^o_t), Q̂_t = r̃_i + mean_a ρ·(log π(a|s_{t+1}) − log π_o(a|s_{t+1})), r̃_i = r_i − mean_g
 *   loss = seq-mean-token-mean of (Q_t − sg[Q̂_t])²
 *
 * π_o: the weights that seal the batch. The gradient is that of REINFORCE with the live advantage A_t = 2ρ·(Q̂_t − Q_t), which is what is
 * taken; `policyLoss` is not the squared error. No second term at a row's last step, cut rows included; the mean over actions is
 * of those that s_{t+1} allows. Trap: r̃ is added at every step, not the last alone. Source confidence: exact (the paper's text).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { meanLogprobs } from "../algo/logits.js";
import { reinforce } from "../algo/surrogates.js";
import { centredByGroup } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  temperature: z.number().positive().max(1000).default(1).describe("ρ: how many units of score a nat is"),
});

function randomPolicyAdvantages(rho: number): Derive {
  return {
    ...{ id: "randomPolicyAdvantages", when: "step", live: ["logprob", "policy"] },
    ...{ needs: ["advantages", "proximalLogprobs", "policies"], writes: ["advantages"] },
    run(batch, { live }) {
      const { mask, offsets } = batch;
      const { steps, actionMasks } = batch.inputs;
      const logprobs = liveColumn(live, "logprob");
      const old = stepColumn(batch, "proximalLogprobs");
      const scores = stepColumn(batch, "advantages");
      const means = meanLogprobs(liveColumn(live, "policy"), actionMasks, steps);
      const oldMeans = meanLogprobs(stepColumn(batch, "policies"), actionMasks, steps);
      const advantages = new Float64Array(steps);
      for (let row = 0; row + 1 < offsets.length; row++) {
        let following = 0;
        for (let t = offsets[row + 1]! - 1; t >= offsets[row]!; t--) {
          if (mask[t] === 0) continue;
          const value = rho * (logprobs[t]! - old[t]!);
          advantages[t] = 2 * rho * (scores[t]! + following - value);
          following = rho * (means[t]! - oldMeans[t]!);
        }
      }
      return { step: { advantages } };
    },
  };
}

export const rover: RecipeDefinition<z.output<typeof params>> = {
  id: "rover",
  summary: "Logprobs regressed to the values of the uniform policy (ROVER, He et al. 2025)",
  source: { confidence: "exact", checked: "the paper's text" },
  params,
  build(p) {
    const base = groupRecipe(p, {
      id: "rover",
      advantages: centredByGroup("zero"),
      then: [randomPolicyAdvantages(p.temperature)],
      surrogate: reinforce(),
      aggregator: seqMeanTokenMean(),
      window: null,
    });
    return { ...base, requires: [...base.requires, "discrete"], evaluate: ["logprob", "policy"] };
  },
};
