/**
 * Rows of trajectories that go on in a later batch, kept until the batch in which they end. Not in checkpoints: a learner that
 * resumes begins without.
 */
import { rowColumn, withColumns, type Batch } from "../../core/slots/batch.js";
import { joinBatches } from "../../core/slots/join.js";
import type { KeepUnfinished } from "../../core/slots/recipe.js";
import { selectRows } from "../../core/slots/select.js";
import { rowCount } from "../../core/types.js";

export class UnfinishedRows {
  /** With the row column `batchesKept`. */
  private kept: Batch | null = null;

  constructor(private readonly plan: KeepUnfinished) {}

  /** `fresh` after the rows kept of all trajectories that end in it, with the step column `fresh`; then keeps what goes on. */
  join(batch: Batch): Batch {
    const fresh = withColumns(batch, {
      step: { fresh: new Float64Array(batch.inputs.steps).fill(1) },
      row: { batchesKept: new Float64Array(rowCount(batch)) },
    });
    const all = this.kept === null ? fresh : joinBatches(this.kept, fresh);
    const trajectories = rowColumn(all, "trajectory");
    const truncated = rowColumn(all, "truncated");
    const batchesKept = rowColumn(all, "batchesKept");
    const rows = Array.from(trajectories, (_, row) => row);
    const ended = new Set(
      rows
        .filter((row) => all.terminated[row] === 1 || truncated[row] === 1)
        .map((row) => trajectories[row]!),
    );
    const ends = (row: number): boolean => ended.has(trajectories[row]!);
    const pick = (wanted: (row: number) => boolean): Batch =>
      selectRows(all, Uint32Array.from(rows.filter(wanted)));
    const kept = pick((row) => !ends(row) && batchesKept[row]! < this.plan.maxBatches);
    this.kept = withColumns(kept, {
      step: { fresh: new Float64Array(kept.inputs.steps) },
      row: { batchesKept: rowColumn(kept, "batchesKept").map((count) => count + 1) },
    });
    return pick((row) => ends(row) || batchesKept[row] === 0);
  }
}
