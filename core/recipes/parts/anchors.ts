/** Which steps of a batch were taken in the same state of the same task. */
import { equalObservations, similarTexts } from "../../algo/anchor-groups.js";
import { numberBy, spreadRows } from "../../algo/arrays.js";
import { SkeinError } from "../../errors.js";

import { rowColumn, type Batch } from "../../slots/batch.js";

/**
 * [N]: the same number = the same group and the same state. States are the same where the environment names them alike,
 * or, where it names none, where their observations are equal. With `threshold` names that are at least so similar count
 * as alike. Throws RECIPE_INVALID where that is asked of states without names.
 */
export function stepGroups(batch: Batch, threshold: number | null): Float64Array {
  const groups = spreadRows(rowColumn(batch, "group"), batch.offsets);
  const { observations, steps } = batch.inputs;
  const named = batch.step["anchor"];
  if (threshold !== null) {
    if (named === undefined || batch.anchorTexts === undefined) {
      throw new SkeinError(
        "RECIPE_INVALID",
        "similarity: expected an environment that names its states (anchorKeys), got one that does not; set similarity: null",
      );
    }
    return similarTexts(named, batch.anchorTexts, groups, threshold);
  }
  const anchors = named ?? equalObservations(observations, observations.length / steps);
  return numberBy(steps, (t) => `${groups[t]}/${anchors[t]}`);
}
