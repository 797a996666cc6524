/**
 * REINFORCE++ (Hu 2025, arXiv:2501.03262): no critic, and scores normalised over the whole batch instead of each group; its
 * "baseline" form takes the group's mean away first.
 *
 *   A = whiten over all steps of (r_i − mean_g), or of r_i; loss = token-mean of ppoClip(ρ_t, A)
 *
 * Traps: whitening is over steps, so long rows weigh more in mean and spread. The paper's KL to a reference policy is not
 * part of it here. Source confidence: exact (verl, OpenRLHF).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { ppoClip } from "../algo/surrogates.js";
import { centredByGroup, whitenAdvantages, type RowAdvantages } from "./advantages.js";
import { clipWindow, groupParams, groupRecipe, windowOf } from "./group-recipe.js";
import type { RecipeDefinition } from "./recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  groupBaseline: z.boolean().default(true).describe("Take the group's mean score away first"),
});

const scoresAsTheyAre: RowAdvantages = (scores) => scores;

export const reinforcePp: RecipeDefinition<z.output<typeof params>> = {
  id: "reinforce-pp",
  summary: "REINFORCE++: scores normalised over the whole batch (Hu 2025)",
  source: { confidence: "exact", checked: "verl, OpenRLHF" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "reinforce-pp",
      advantages: p.groupBaseline ? centredByGroup("raw") : scoresAsTheyAre,
      then: [whitenAdvantages],
      surrogate: ppoClip(windowOf(p)),
      aggregator: tokenMean(),
      window: windowOf(p),
    }),
};
