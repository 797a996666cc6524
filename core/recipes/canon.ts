/**
 * Conditional advantage estimation (CANON, 2025): a group is cut in two by entropy or length, and a row is
 * compared with the other half and with its own, so that neither direction of the metric is presumed to be good.
 *
 *   A_i = μ·(r_i − mean of the other half) + (1 − μ)·(r_i − mean of its own half); loss as in dr-grpo
 *
 * The lower half has ⌊G/2⌋ rows; μ = 1/2 with equal halves is Dr. GRPO. α < 1 scales the scores of one half where
 * halves are compared, the longer rows' or those of lower entropy: it makes them worse. μ may follow a schedule:
 * first-inter 1 − success of the batch, first-intra the success; cosine-first-inter c(n) of the batches n before,
 * cosine-first-intra 1 − c(n), c with linear warm-up and restarts. Traps: α sits on opposite halves for the two metrics
 * (as in the code); the code's 1/8192 in A is maxLength here. Source confidence: exact (the authors' code).
 */
import { z } from "zod";
import { seqMeanTokenSumNorm } from "../algo/aggregate.js";
import { chosenPerRow } from "../algo/arrays.js";
import { conditionalAdvantages } from "../algo/conditional.js";
import { rowMeans } from "../algo/statistics.js";
import { rowAdvantages } from "./parts/advantages.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { interSchedule, scheduleParams } from "./parts/canon-schedule.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import { steps } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.28),
  maxLength: steps.default(500).describe("L_max: steps that a row may have"),
  metric: z
    .enum(["entropy", "length"])
    .default("entropy")
    .describe("What cuts a group in two: the rows' mean entropy, or their chosen steps"),
  alpha: z
    .number()
    .min(0)
    .max(10)
    .default(1)
    .describe("α on the scores of long rows, or of rows of low entropy, where halves are compared"),
  ...scheduleParams,
});
type Params = z.output<typeof params>;

function betweenAndWithinHalves(
  { metric, alpha }: Params,
  muOf: ReturnType<typeof interSchedule>["read"],
): Derive {
  const byEntropy = metric === "entropy";
  const factors = byEntropy ? ([alpha, 1] as const) : ([1, alpha] as const);
  return rowAdvantages("conditionalAdvantages", byEntropy ? ["entropies"] : [], (batch, { readings }) => {
    const { mask, offsets } = batch;
    const metrics = byEntropy
      ? rowMeans(stepColumn(batch, "entropies"), mask, offsets)
      : chosenPerRow(mask, offsets);
    const input = { scores: rowColumn(batch, "score"), metrics, groups: rowColumn(batch, "group") };
    return conditionalAdvantages(input, { factors, mu: muOf(readings) });
  });
}

export const canon: RecipeDefinition<Params> = {
  id: "canon",
  summary: "Rows compared between and within halves of their group, by entropy or length (CANON, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p) {
    const { read, trackers } = interSchedule(p);
    return groupRecipe(p, {
      id: "canon",
      evaluate: p.metric === "entropy" ? ["entropy"] : [],
      advantages: betweenAndWithinHalves(p, read),
      ...clipped(p),
      aggregator: seqMeanTokenSumNorm(p.maxLength),
      trackers,
    });
  },
};
