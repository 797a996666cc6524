/**
 * Decoupled clip and dynamic sampling (Yu et al. 2025, DAPO, arXiv:2503.14476): GRPO with a wider clip above, every
 * step counted the same, only groups that differ in score, and a soft penalty for rows that come near the limit of
 * length.
 *
 *   A_i = (r_i − mean_g) / (std_g + ε), r_i with min(−factor·(L_i − (L_max − buffer))/buffer, 0) added
 *   loss = token-mean of dualClip(ρ_t, A_i; 0.2, 0.28, c = 10)
 *
 * Paper: L_max 20480, buffer 4096, factor 1; here rows have no penalty before maxLength is set, for how long is too
 * long only the task says. Traps: whether a group enters is decided by scores without penalty; a row longer than L_max
 * loses more than the factor (as in verl). verl gives up after 10 batches of samples, each three times a training
 * batch; here groups then enter as they are. Source confidence: exact (verl's recipe).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { maxFilteredBatches, scoresDiffer } from "./parts/filters.js";
import { clipped, dualClipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { steps } from "./parts/params.js";
import { maskTruncated, penalizeOverlong } from "./parts/overlong.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...dualClipWindow(0.2, 0.28, 10),
  stdEpsilon,
  filterEqualScores: z
    .boolean()
    .default(true)
    .describe("Leave out groups whose rows all have the same score"),
  maxFilteredBatches,
  maxLength: steps
    .nullable()
    .default(null)
    .describe("L_max, steps: longer than overlongBuffer before it, a row is penalised; null = no penalty"),
  overlongBuffer: steps.default(4096).describe("Steps before maxLength over which the penalty grows"),
  overlongPenalty: z.number().min(0).default(1).describe("Penalty at maxLength, in units of score"),
  overlongFilter: z.boolean().default(false).describe("Learn nothing from rows that a limit of steps cut"),
});

export const dapo: RecipeDefinition<z.output<typeof params>> = {
  id: "dapo",
  summary: "Clip-higher, dynamic sampling and a penalty for length on top of GRPO (Yu et al. 2025)",
  source: { confidence: "exact", checked: "verl's recipe" },
  params,
  build(p) {
    const { maxLength, overlongBuffer: buffer, overlongPenalty: factor } = p;
    return groupRecipe(p, {
      id: "dapo",
      sampler: p.filterEqualScores ? { filter: scoresDiffer(p.maxFilteredBatches) } : {},
      before: maxLength === null ? [] : [penalizeOverlong({ maxLength, buffer, factor })],
      advantages: standardizedByGroup(p.stdEpsilon),
      then: p.overlongFilter ? [maskTruncated] : [],
      ...clipped(p),
      aggregator: tokenMean(),
    });
  },
};
