/** What DAPO does about long rows: a soft penalty before the limit, and no loss from rows that a limit cut. */
import { chosenPerRow } from "../../algo/arrays.js";
import { rowColumn } from "../../slots/batch.js";
import type { Derive } from "../../slots/recipe.js";

export interface Overlong {
  /** L_max, steps */
  readonly maxLength: number;
  /** Steps before L_max over which the penalty grows. */
  readonly buffer: number;
  /** The penalty at L_max; beyond it grows on. */
  readonly factor: number;
}

/** min(−factor·(L − (L_max − buffer))/buffer, 0) (DAPO, Yu et al. 2025; not bounded below, as in verl). */
export function overlongPenalty(length: number, { maxLength, buffer, factor }: Overlong): number {
  return Math.min((-factor * (length - (maxLength - buffer))) / buffer, 0);
}

/** Adds the penalty for a row's chosen steps to its score. */
export function penalizeOverlong(overlong: Overlong): Derive {
  return {
    ...{ id: "penalizeOverlong", when: "seal", needs: [], writes: [] },
    run(batch) {
      const lengths = chosenPerRow(batch.mask, batch.offsets);
      const score = rowColumn(batch, "score").map((r, i) => r + overlongPenalty(lengths[i]!, overlong));
      return { row: { score } };
    },
  };
}

/** Masks rows that a limit cut: they count in their group's statistics, but nothing is learned from their steps. */
export const maskTruncated: Derive = {
  ...{ id: "maskTruncated", when: "seal", needs: [], writes: [] },
  run(batch) {
    const truncated = rowColumn(batch, "truncated");
    const mask = batch.mask.slice();
    truncated.forEach((cut, i) => {
      if (cut === 1) mask.fill(0, batch.offsets[i], batch.offsets[i + 1]);
    });
    return { mask };
  },
};
