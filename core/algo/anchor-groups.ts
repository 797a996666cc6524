/** Which steps were taken in the same state: equal observations, equal texts, or texts that are nearly equal. */
import { expectLength } from "../errors.js";
import { numberBy } from "./arrays.js";
import { similarity } from "./text-similarity.js";

/** Numbers [N] that are equal exactly where the `width` numbers of two steps are; observations [N·width]. */
export function equalObservations(observations: Float32Array, width: number): Float64Array {
  const steps = width === 0 ? 0 : observations.length / width;
  expectLength("equalObservations", "observations", Math.trunc(steps) * width, observations.length);
  return numberBy(steps, (t) => observations.subarray(t * width, (t + 1) * width).join());
}

/**
 * Clusters of texts within each group: a step joins the first cluster of its group whose first text is at least
 * `threshold` similar (Ratcliff & Obershelp), else it begins one. anchors [N] indices into `texts`, groups [N] → [N].
 * Depends on the order of the steps, as the method does.
 */
export function similarTexts(
  anchors: Float64Array,
  texts: readonly string[],
  groups: Float64Array,
  threshold: number,
): Float64Array {
  expectLength("similarTexts", "groups", anchors.length, groups.length);
  const clusters = new Map<number, { readonly first: number; readonly number: number }[]>();
  const decided = new Map<string, number>();
  let count = 0;
  return anchors.map((anchor, t) => {
    const group = groups[t]!;
    const key = `${group}/${anchor}`;
    const before = decided.get(key);
    if (before !== undefined) return before;
    const ofGroup = clusters.get(group) ?? [];
    clusters.set(group, ofGroup);
    let found = ofGroup.find(({ first }) => similarity(texts[first]!, texts[anchor]!) >= threshold);
    if (found === undefined) ofGroup.push((found = { first: anchor, number: count++ }));
    decided.set(key, found.number);
    return found.number;
  });
}
