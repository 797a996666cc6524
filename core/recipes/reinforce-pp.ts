/**
 * REINFORCE++ (Hu 2025, arXiv:2501.03262): no critic, and scores normalised over the whole batch instead of each group;
 * its "baseline" form takes the group's mean away first.
 *
 *   A_t = whiten over all steps of r_i − β·Σ_{u≥t} (ℓ_u − ℓ^ref_u); loss = token-mean of ppoClip(ρ_t, A_t)
 *   baseline: A = whiten of r_i − mean_g; loss + β·k2(π ‖ π_ref)
 *
 * Undiscounted. Traps: whitening is over steps, so long rows weigh more in mean and spread; verl's running return
 * starts anew at every masked step, so that in rows with several turns only the last earns anything: here they are
 * skipped. Source confidence: exact (verl, OpenRLHF).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { klK2, klShapedRewards } from "../algo/kl.js";
import { returnsWithinRows } from "../algo/returns.js";
import { centredByGroup, whitenAdvantages, type RowAdvantages } from "./parts/advantages.js";
import { stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { klCoefficient, withReference, withReferenceKl } from "./parts/reference.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  groupBaseline: z.boolean().default(true).describe("Take the group's mean score away first"),
  klCoefficient,
});

const scoresAsTheyAre: RowAdvantages = (scores) => scores;

/** A_t − β·Σ_{u≥t} (ℓ_u − ℓ^ref_u) over the row's chosen steps. */
function withKlToGo(beta: number): Derive {
  return {
    id: "klToGo",
    when: "seal",
    needs: ["advantages", "oldLogprobs", "referenceLogprobs"],
    writes: ["advantages"],
    run(batch) {
      const { mask, offsets } = batch;
      const kl = {
        rewards: new Float64Array(mask.length),
        oldLogprobs: stepColumn(batch, "oldLogprobs"),
        refLogprobs: stepColumn(batch, "referenceLogprobs"),
        mask,
      };
      const rewards = klShapedRewards(kl, beta);
      const toGo = returnsWithinRows({ rewards, mask, offsets }, 1);
      return { step: { advantages: stepColumn(batch, "advantages").map((a, t) => a + toGo[t]!) } };
    },
  };
}

export const reinforcePp: RecipeDefinition<z.output<typeof params>> = {
  id: "reinforce-pp",
  summary: "REINFORCE++: scores normalised over the whole batch (Hu 2025)",
  source: { confidence: "exact", checked: "verl, OpenRLHF" },
  params,
  build(p) {
    const inReward = p.klCoefficient > 0 && !p.groupBaseline;
    const recipe = groupRecipe(p, {
      id: "reinforce-pp",
      advantages: p.groupBaseline ? centredByGroup("raw") : scoresAsTheyAre,
      then: [...(inReward ? [withKlToGo(p.klCoefficient)] : []), whitenAdvantages],
      ...clipped(p),
      aggregator: tokenMean(),
    });
    if (inReward) return withReference(recipe);
    return withReferenceKl(recipe, p.klCoefficient, tokenMean(), { estimator: klK2 });
  },
};
