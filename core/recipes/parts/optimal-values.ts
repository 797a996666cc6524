/** Stage 1 of A*-PO: each task's optimal value, from the scores of rows that the reference policy played. */
import { addSoftSums, softMean, softSumOf, type SoftSum } from "../../algo/soft-mean.js";
import { SkeinError } from "../../errors.js";
import { rowColumn, type Batch } from "../../slots/batch.js";
import type { Readings, Tracker } from "../../slots/recipe.js";

interface OptimalValues {
  /** Of stage 1, seen so far. */
  readonly batches: number;
  readonly tasks: readonly (readonly [task: number, scores: SoftSum])[];
}

/**
 * Shows, for each task of the first `batches` batches, `task<n>` = V* = β·log mean exp(r/β), the mean where β = 0; and `all`,
 * the same of all their rows.
 */
export function optimalValuesTracker(batches: number, beta: number): Tracker<OptimalValues> {
  const add = (a: SoftSum | undefined, b: SoftSum): SoftSum =>
    a === undefined ? b : addSoftSums(a, b, beta);
  return {
    initial: { batches: 0, tasks: [] },
    observe(state, batch) {
      if (state.batches >= batches) return state;
      const tasks = new Map(state.tasks);
      const ofRows = rowColumn(batch, "task");
      rowColumn(batch, "score").forEach((score, row) => {
        const task = ofRows[row]!;
        tasks.set(task, add(tasks.get(task), softSumOf(score, beta)));
      });
      return { batches: state.batches + 1, tasks: [...tasks] };
    },
    read({ tasks }) {
      const shown = tasks.map(([task, scores]) => [`task${task}`, softMean(scores, beta)] as const);
      if (shown.length === 0) return {};
      const all = tasks.reduce<SoftSum | undefined>((sum, [, scores]) => add(sum, scores), undefined);
      return { ...Object.fromEntries(shown), all: softMean(all!, beta) };
    },
  };
}

/** [R] V* of each row's task as `tracker` shows it; of a task that stage 1 did not see, that of all its rows. */
export function optimalValues(batch: Batch, readings: Readings, tracker: string): Float64Array {
  const values = readings[tracker] ?? {};
  const { all } = values;
  if (all === undefined) {
    throw new SkeinError(
      "RECIPE_INVALID",
      `recipe: the tracker ${tracker} has seen no score before training`,
    );
  }
  return rowColumn(batch, "task").map((task) => values[`task${task}`] ?? all);
}
