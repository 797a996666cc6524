/** Which groups may enter a batch. */
import { z } from "zod";
import { differ } from "../../algo/group-statistics.js";
import type { GroupFilter } from "../../slots/recipe.js";

/** verl gives up after 10 batches of samples, each three times a training batch. */
export const maxFilteredBatches = z
  .number()
  .positive()
  .max(1e6)
  .default(30)
  .describe("Batches' worth of steps left out in a row before groups enter as they are");

/** Groups of which some rows, but not all, have at least `successScore`. */
export function outcomesDiffer(
  reason: string,
  p: { readonly successScore: number; readonly maxFilteredBatches: number },
): GroupFilter {
  const succeeds = (score: number): boolean => score >= p.successScore;
  const keep = (scores: Float64Array): boolean => scores.some(succeeds) && !scores.every(succeeds);
  return { reason, keep, maxBatches: p.maxFilteredBatches };
}

/** Groups whose scores differ, for from the others no advantage comes, and a row alone (DAPO, Yu et al. 2025, eq. 11). */
export function scoresDiffer(maxBatches: number): GroupFilter {
  return {
    reason: "equalScores",
    keep: (scores) => scores.length < 2 || differ(scores),
    maxBatches,
  };
}
