/** Stretches of a row. */

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
