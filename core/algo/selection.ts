/** Which of many numbers: the largest, and the ones at a given rank. */
import { SkeinError } from "../errors.js";
import { expectOffsets } from "./arrays.js";

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

/** The ⌈share·L_i⌉ of each row's L_i chosen steps at which `x` is largest, row by row. x, mask [N], offsets [R+1] */
export function topOfRows(
  x: Float64Array,
  mask: Uint8Array,
  offsets: Uint32Array,
  share: number,
): Uint32Array {
  expectOffsets("topOfRows", offsets, mask.length);
  const ofRow = (row: number): number[] => {
    const chosen = chosenSteps(mask, offsets[row], offsets[row + 1]);
    return [...topIndices(x, chosen, Math.ceil(share * chosen.length))];
  };
  return Uint32Array.from(Array.from({ length: offsets.length - 1 }, (_, row) => ofRow(row)).flat());
}

/** 1 at the first step of each row that the policy chose, else 0. mask [N], offsets [R+1] → [N] */
export function onlyFirstChosen(mask: Uint8Array, offsets: Uint32Array): Uint8Array {
  expectOffsets("onlyFirstChosen", offsets, mask.length);
  const first = new Uint8Array(mask.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    const at = mask.subarray(offsets[i], offsets[i + 1]).indexOf(1);
    if (at >= 0) first[offsets[i]! + at] = 1;
  }
  return first;
}

/** The last step of each row that the policy chose, −1 where it chose none. mask [N], offsets [R+1] → [R] */
export function lastChosen(mask: Uint8Array, offsets: Uint32Array): Int32Array {
  expectOffsets("lastChosen", offsets, mask.length);
  return Int32Array.from({ length: offsets.length - 1 }, (_, i) => {
    const at = mask.subarray(offsets[i], offsets[i + 1]).lastIndexOf(1);
    return at < 0 ? -1 : offsets[i]! + at;
  });
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
