/** Which of many numbers: the largest, and the ones at a given rank. */
import { SkeinError } from "../errors.js";

/** Those `count` of `indices` at which `x` is largest, largest first; of equals those that come first. All where there are fewer. */
export function topIndices(x: Float64Array, indices: Uint32Array, count: number): Uint32Array {
  const byRank = Array.from(indices, (_, k) => k).sort((a, b) => x[indices[b]!]! - x[indices[a]!]! || a - b);
  return Uint32Array.from(byRank.slice(0, count), (k) => indices[k]!);
}

/** The steps of `from` … `to` − 1 that the policy chose. mask [N] */
export function chosenSteps(mask: Uint8Array, from = 0, to = mask.length): Uint32Array {
  const steps: number[] = [];
  for (let t = from; t < to; t++) if (mask[t] === 1) steps.push(t);
  return Uint32Array.from(steps);
}

/** The q-quantile, 0 ≤ q ≤ 1, linear between the two nearest ranks (numpy's default). x not empty. */
export function quantile(x: Float64Array, q: number): number {
  if (x.length === 0) throw new SkeinError("SHAPE", "quantile: expected at least one number, got none");
  const sorted = Float64Array.from(x).sort();
  const rank = q * (sorted.length - 1);
  const below = Math.floor(rank);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (rank - below) * (sorted[above]! - sorted[below]!);
}
