/** A recipe's cotangents against central differences of its loss, with all that derives add held constant. */
import { expect } from "vitest";
import type { Columns, Cotangents, LiveColumn } from "../../core/engine/engine.js";
import { Random } from "../../core/random.js";
import type { Batch, ColumnSet } from "../../core/slots/batch.js";
import { deriveColumns, evaluateTerms } from "../../core/slots/evaluate.js";
import type { Readings, Recipe } from "../../core/slots/recipe.js";

/** A power of two: numbers of `grid` ± H are exact in float32. */
const H = 2 ** -9;

/** Normal numbers, rounded to 1/1024. */
export function grid(random: Random, length: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, () => Math.round(1024 * scale * random.normal()) / 1024);
}

/** `live` on the grid. Returns the derived minibatch and the cotangents. */
export function expectSlopes(
  recipe: Recipe,
  minibatch: Batch,
  live: Columns<LiveColumn>,
  { readings = {}, tolerance = 1e-5 }: { readings?: Readings; tolerance?: number } = {},
): { readonly batch: Batch; readonly cotangents: Cotangents } {
  const random = new Random(1);
  const wide: ColumnSet = Object.fromEntries(
    Object.entries(live).map(([name, column]) => [name, Float64Array.from(column)]),
  );
  const derived = deriveColumns(recipe, "step", minibatch, { readings, random, live: wide });
  const fixed = { ...recipe, derive: [] };
  const lossAt = (columns: Columns<LiveColumn>): number =>
    evaluateTerms(fixed, derived, columns, { readings, random }).loss;
  const { cotangents } = evaluateTerms(recipe, minibatch, live, { readings, random });
  for (const [name, column] of Object.entries(live)) {
    column.forEach((x, t) => {
      const moved = (by: number): Columns<LiveColumn> => {
        const copy = column.slice();
        copy[t] = x + by;
        return { ...live, [name]: copy };
      };
      const slope = (lossAt(moved(H)) - lossAt(moved(-H))) / (2 * H);
      const error = Math.abs(slope - (cotangents[name as LiveColumn]?.[t] ?? 0));
      expect(error, `${name} at ${t}`).toBeLessThan(tolerance * Math.max(1, Math.abs(slope)));
    });
  }
  return { batch: derived, cotangents };
}
