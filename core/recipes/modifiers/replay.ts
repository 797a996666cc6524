/**
 * Rows of the last batches are trained on again beside the new ones, with the log-probabilities that they came with, so
 * that ratios stay importance ratios to the policy that acted.
 *
 *   replayed steps ≈ replayShare/(1 − replayShare) · new steps, whole groups of the last replayBatches batches
 *
 * Share 0.4 of two batches: ReMix (Liang et al. 2025). Traps: a replayed row is off-policy by a batch or two, so a
 * clip around ρ = 1 drops more of it; a learner that resumes begins without memory. Source confidence: note.
 */
import { z } from "zod";
import type { ModifierDefinition } from "../../slots/recipe.js";
import { refusal } from "./refusal.js";

export const replayParams = z.strictObject({
  replayBatches: z.int().min(1).max(64).default(2).describe("Batches whose rows may be replayed"),
  replayShare: z
    .number()
    .positive()
    .max(0.9)
    .default(0.4)
    .describe("Share of a batch's steps that are replayed, whole rows or groups"),
});
export type ReplayParams = z.output<typeof replayParams>;

export const replay: ModifierDefinition<ReplayParams> = {
  id: "replay",
  summary: "Rows of the last batches are trained on again (ReMix, Liang et al. 2025)",
  source: { confidence: "note", checked: "a summary of the paper" },
  params: replayParams,
  apply(recipe, { replayBatches, replayShare }) {
    if (recipe.replay !== undefined) {
      throw refusal("replay", recipe, "replays already: set it in recipe.params");
    }
    return { ...recipe, replay: { batches: replayBatches, share: replayShare / (1 - replayShare) } };
  },
};
