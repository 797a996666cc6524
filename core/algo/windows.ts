/** Stretches of a row. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";
import { chosenSteps, quantile } from "./selection.js";

/**
 * Means of x over every `width` consecutive ones of `steps`; [L − width + 1], where there are fewer steps than that the
 * mean of them all, [1], and [0] where there are none. x [N], steps [L] indices into it.
 */
export function windowMeans(x: Float64Array, steps: Uint32Array, width: number): Float64Array {
  if (steps.length === 0) return new Float64Array(0);
  const size = Math.min(width, steps.length);
  return Float64Array.from({ length: steps.length - size + 1 }, (_, first) => {
    let sum = 0;
    for (let k = first; k < first + size; k++) sum += x[steps[k]!]!;
    return sum / size;
  });
}

export interface HighWindows {
  /** [R] windows of each row whose mean is high */
  readonly counts: Float64Array;
  /** [N] 1 = in one of them */
  readonly inside: Uint8Array;
}

/**
 * Windows of `width` chosen steps of a row whose mean of x exceeds τ, the mean over rows of the `level` quantile of their
 * windows' means (ARES, 2025). x, mask [N], offsets [R+1].
 */
export function highWindows(
  x: Float64Array,
  mask: Uint8Array,
  offsets: Uint32Array,
  { width, level }: { readonly width: number; readonly level: number },
): HighWindows {
  expectLength("highWindows", "mask", x.length, mask.length);
  expectOffsets("highWindows", offsets, x.length);
  const rows = Array.from({ length: offsets.length - 1 }, (_, i) => {
    const steps = chosenSteps(mask, offsets[i], offsets[i + 1]);
    return { steps, means: windowMeans(x, steps, width) };
  });
  const edges = rows.filter(({ means }) => means.length > 0).map(({ means }) => quantile(means, level));
  const threshold = edges.reduce((sum, edge) => sum + edge, 0) / edges.length;
  const counts = new Float64Array(rows.length);
  const inside = new Uint8Array(x.length);
  rows.forEach(({ steps, means }, i) => {
    means.forEach((mean, first) => {
      if (mean <= threshold) return;
      counts[i]!++;
      for (const t of steps.subarray(first, first + width)) inside[t] = 1;
    });
  });
  return { counts, inside };
}
