/** Which groups may enter a batch. */
import { z } from "zod";
import type { GroupFilter } from "./recipe.js";

export const maxFilteredBatches = z
  .int()
  .min(1)
  .max(1_000_000)
  .default(10)
  .describe("Batches' worth of steps that are filtered in a row at most; then groups enter as they are");

/** Groups in which not all scores are equal: from the others no advantage comes (DAPO, Yu et al. 2025, eq. 11). */
export function scoresDiffer(maxBatches: number): GroupFilter {
  return {
    reason: "equalScores",
    keep: (scores) => scores.some((score) => score !== scores[0]),
    maxBatches,
  };
}
