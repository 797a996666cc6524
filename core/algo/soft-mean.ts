/** β·log mean e^{x/β}: the mean of x as β grows, its maximum as β goes to 0; where β is 0, by convention, the mean. */

/** Of `count` numbers x: total = log Σ e^{x/β} where β > 0, Σ x where β = 0. Immutable and JSON: a tracker's state. */
export interface SoftSum {
  readonly count: number;
  readonly total: number;
}

export function softSumOf(x: number, beta: number): SoftSum {
  return { count: 1, total: beta > 0 ? x / beta : x };
}

/** Of the numbers of both. */
export function addSoftSums(a: SoftSum, b: SoftSum, beta: number): SoftSum {
  const count = a.count + b.count;
  if (beta === 0) return { count, total: a.total + b.total };
  const max = Math.max(a.total, b.total);
  return { count, total: max + Math.log(Math.exp(a.total - max) + Math.exp(b.total - max)) };
}

export function softMean({ count, total }: SoftSum, beta: number): number {
  return beta === 0 ? total / count : beta * (total - Math.log(count));
}
