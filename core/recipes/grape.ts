/**
 * Generalised relative advantage policy evolution (GRAPE): several rubrics in place of one score, each counting as much
 * as the judge is sure of it.
 *
 *   R_i = Σ_k ω_k·s_{i,k} / Σ_k ω_k, ω_k = mean over the group of the confidence c_{i,k}
 *   A_i = R_i − mean_g R; loss = token-mean of ppoClip(ρ_t, A_i)
 *
 * s and c are row counters that the environment emits: `rubrics` names them. A rubric without a confidence has ω = 1;
 * where all ω are 0 rubrics count the same. Traps: rewards of steps count only as far as a rubric has them (as the
 * default, the episode's return, does); keep rubrics on one scale. Source confidence: reconstructed from a summary,
 * unverified.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { weighedRubrics } from "../algo/rubrics.js";
import { SkeinError } from "../errors.js";
import { centredByGroup } from "./parts/advantages.js";
import { rowColumn, type Batch } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const counter = z.string().min(1).max(100);
const rubric = z.strictObject({
  score: counter.describe("Row counter s_k"),
  confidence: counter.nullable().default(null).describe("Row counter c_k; null = always 1"),
});
const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  rubrics: z
    .array(rubric)
    .min(1)
    .max(100)
    .default([{ score: "episodeReturn", confidence: null }])
    .describe("Row counters that hold the score of each rubric and how sure the judge is of it"),
});
type Params = z.output<typeof params>;

/** Emitted for every episode, whatever the environment. */
const ALWAYS_THERE = ["episodeReturn", "episodeLength"];

function counters({ rubrics }: Params): string[] {
  const names = rubrics.flatMap(({ score, confidence }) =>
    confidence === null ? [score] : [score, confidence],
  );
  return [...new Set(names)].filter((name) => !ALWAYS_THERE.includes(name));
}

/** A counter that every row has, or RECIPE_INVALID. */
function counterOf(batch: Batch, name: string): Float64Array {
  const values = rowColumn(batch, name);
  const row = values.findIndex((value) => !Number.isFinite(value));
  if (row < 0) return values;
  throw new SkeinError(
    "RECIPE_INVALID",
    `recipe grape: expected a number for "${name}" at the end of every episode, got ${values[row]}`,
  );
}

function rubricScores({ rubrics }: Params): Derive {
  return {
    ...{ id: "rubricScores", when: "seal", needs: [], writes: [] },
    run(batch) {
      const columns = rubrics.map(({ score, confidence }) => ({
        scores: counterOf(batch, score),
        confidences: confidence === null ? null : counterOf(batch, confidence),
      }));
      return { row: { score: weighedRubrics(columns, rowColumn(batch, "group")) } };
    },
  };
}

export const grape: RecipeDefinition<Params> = {
  id: "grape",
  summary: "Several rubrics, weighed by the judge's confidence, in place of one score (GRAPE, 2025)",
  source: { confidence: "note", checked: "a summary; reconstructed, unverified" },
  params,
  build: (p) => ({
    ...groupRecipe(p, {
      id: "grape",
      before: [rubricScores(p)],
      advantages: centredByGroup("raw"),
      ...clipped(p),
      aggregator: tokenMean(),
    }),
    counters: counters(p),
  }),
};
