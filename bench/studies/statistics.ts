/** Means over seeds and how sure they are. */

/** 97.5 % quantiles of Student's t with 1 … 30 degrees of freedom. */
const T_975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL_975 = 1.96;

export interface Interval {
  readonly mean: number;
  /** Half the width of the 95 % confidence interval of the mean; NaN for one value. */
  readonly margin: number;
}

/** Mean and 95 % confidence interval by Student's t (Student 1908); values of independent runs. */
export function interval(values: readonly number[]): Interval {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  if (n < 2) return { mean, margin: Number.NaN };
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  return { mean, margin: (T_975[n - 2] ?? NORMAL_975) * Math.sqrt(variance / n) };
}

/** Interval of the mean of a − b, pair by pair: both arms ran the same seeds. */
export function difference(a: readonly number[], b: readonly number[]): Interval {
  return interval(a.map((x, i) => x - b[i]!));
}
