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
import { rowsByGroup } from "../algo/group-statistics.js";
import { rowMeans } from "../algo/statistics.js";
import { rowAdvantages } from "./parts/advantages.js";
import { rowColumn, stepColumn, type Batch } from "../slots/batch.js";
import { interSchedule, scheduleParams } from "./parts/canon-schedule.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.28),
  maxLength: z.int().min(1).max(1e8).default(500).describe("L_max: steps that a row may have"),
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

function metricOf(metric: Params["metric"], batch: Batch): Float64Array {
  const { mask, offsets } = batch;
  return metric === "length"
    ? chosenPerRow(mask, offsets)
    : rowMeans(stepColumn(batch, "entropies"), mask, offsets);
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, x) => sum + x, 0) / values.length;

/** Of one group: `scores` in ascending order of the metric; `factors` [2] of the lower and the upper half's scores. */
function conditional(scores: readonly number[], factors: readonly number[], mu: number): number[] {
  const middle = Math.floor(scores.length / 2);
  const means = [mean(scores.slice(0, middle)), mean(scores.slice(middle))];
  return scores.map((score, k) => {
    const [own, other] = k < middle ? [0, 1] : [1, 0];
    const inter = factors[own]! * score - factors[other]! * means[other]!;
    return mu * inter + (1 - mu) * (score - means[own]!);
  });
}

function conditionalAdvantages(
  { metric, alpha }: Params,
  muOf: ReturnType<typeof interSchedule>["read"],
): Derive {
  const needs = metric === "entropy" ? ["entropies"] : [];
  const factors = metric === "entropy" ? [alpha, 1] : [1, alpha];
  return rowAdvantages("conditionalAdvantages", needs, (batch, { readings }) => {
    const scores = rowColumn(batch, "score");
    const metrics = metricOf(metric, batch);
    const advantages = new Float64Array(scores.length);
    for (const rows of rowsByGroup(rowColumn(batch, "group"))) {
      const order = rows.toSorted((a, b) => metrics[a]! - metrics[b]!);
      const found = conditional(
        order.map((i) => scores[i]!),
        factors,
        muOf(readings),
      );
      order.forEach((i, k) => (advantages[i] = found[k]!));
    }
    return advantages;
  });
}

export const canon: RecipeDefinition<Params> = {
  id: "canon",
  summary: "Rows compared between and within halves of their group, by entropy or length (CANON, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p) {
    const schedule = interSchedule(p);
    const recipe = groupRecipe(p, {
      id: "canon",
      advantages: conditionalAdvantages(p, schedule.read),
      ...clipped(p),
      aggregator: seqMeanTokenSumNorm(p.maxLength),
    });
    return {
      ...recipe,
      evaluate: p.metric === "entropy" ? ["entropy"] : [],
      trackers: schedule.trackers,
    };
  },
};
