/** Which rows ended in the same answer. */
import { numberBy } from "../../algo/arrays.js";
import { rowCount } from "../../types.js";
import type { Batch } from "../../slots/batch.js";

/**
 * [R] whole numbers: the same number = the same answer. A row's answer is its counter `answer` where rows have one, and
 * NaN there, no answer, is like no other; else it is the observation that the row ends with.
 */
export function answersOf(batch: Batch): Float64Array {
  const rows = rowCount(batch);
  const given = batch.row["answer"];
  const width = rows === 0 ? 0 : batch.finalObservations.length / rows;
  const keyOf = (row: number): string => {
    if (given === undefined) return batch.finalObservations.slice(row * width, (row + 1) * width).join();
    return Number.isNaN(given[row]) ? `none ${row}` : `${given[row]}`;
  };
  return numberBy(rows, keyOf);
}
