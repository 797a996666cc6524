/**
 * A size ≥ `count` out of few, so that a compiled engine compiles few shapes: eighths between powers of two, so at
 * most an eighth of it is padding.
 */
export function paddedSize(count: number): number {
  const step = Math.max(1, 2 ** (Math.floor(Math.log2(count)) - 3));
  return Math.ceil(count / step) * step;
}
