/**
 * Phase entropy aware reward (PEAR, 2025): a row that is uncertain while it thinks loses score, which shortens thinking
 * without a penalty for length.
 *
 *   P_i = max(0, mean H of thinking − α·mean H of answering)
 *   R_i = min(1, s_i − P_i) where the row succeeds, else r_fail
 *   then as in GRPO, with R in place of the score
 *
 * s is the score mapped from [minScore, maxScore] to [0, 1]; H are the entropies under the weights that seal the batch.
 * The row counter `answerAt` says at which step, from 0, the answer begins (NaN = never); without it the first
 * thinkingShare of a row's chosen steps think. Traps: without an answer its mean is 0, and all entropy counts against
 * the row; entropies of boxes of actions are differential and may be negative. Source confidence: from a note on the
 * paper.
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { chosenSteps } from "../algo/selection.js";
import { meanAt } from "../algo/statistics.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { rowColumn, stepColumn, type Batch } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { share, weight } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { scoreRange, successFrom, successOf } from "./parts/success.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  alpha: weight.default(1).describe("α: how much entropy of the answer allows for"),
  thinkingShare: share
    .default(0.8)
    .describe("Share of a row's first steps that think, where no counter answerAt says so"),
  failureReward: z.number().default(0).describe("r_fail: score of a row that does not succeed"),
  successFrom,
  ...scoreRange,
});
type Params = z.output<typeof params>;

/** The row's chosen steps, and how many of them think. */
function phasesOf(batch: Batch, row: number, thinkingShare: number) {
  const from = batch.offsets[row]!;
  const steps = chosenSteps(batch.mask, from, batch.offsets[row + 1]);
  const answerAt = batch.row["answerAt"]?.[row];
  if (answerAt === undefined) return { steps, thinking: Math.round(thinkingShare * steps.length) };
  const first = steps.findIndex((t) => t - from >= answerAt);
  return { steps, thinking: first < 0 ? steps.length : first };
}

function phaseEntropyScores(p: Params): Derive {
  const success = successOf("pear", p);
  return {
    ...{ id: "phaseEntropyScores", when: "seal", needs: ["entropies"], writes: [] },
    run(batch) {
      const entropies = stepColumn(batch, "entropies");
      const score = success(rowColumn(batch, "score")).map((s, row) => {
        if (s < p.successFrom) return p.failureReward;
        const { steps, thinking } = phasesOf(batch, row, p.thinkingShare);
        const ofAnswer = meanAt(entropies, steps.subarray(thinking));
        const penalty = meanAt(entropies, steps.subarray(0, thinking)) - p.alpha * ofAnswer;
        return Math.min(1, s - Math.max(0, penalty));
      });
      return { row: { score } };
    },
  };
}

export const pear: RecipeDefinition<Params> = {
  id: "pear",
  summary: "Entropy while thinking costs score, so that thinking gets shorter (PEAR, 2025)",
  source: { confidence: "note", checked: "a note on the paper" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "pear",
      evaluate: ["entropy"],
      before: [phaseEntropyScores(p)],
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: seqMeanTokenMean(),
    }),
};
