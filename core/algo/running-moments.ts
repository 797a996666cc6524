/** Running mean and variance of everything seen so far, for scaling rewards. Immutable: a tracker's state. */

export interface RunningMoments {
  /** values seen, plus the 1e-24 that lets the first batch decide alone */
  readonly count: number;
  readonly mean: number;
  /** population variance */
  readonly variance: number;
}

export const initialMoments: RunningMoments = { count: 1e-24, mean: 0, variance: 1 };

/**
 * The state after a batch of n values with mean m_b and population variance v_b (Chan et al.'s parallel update, in
 * MOSS-RLHF's form):
 *
 *   d = m_b − mean, total = count + n, M2 = variance·count + d²·count·n/total + v_b·n,
 *   mean += d·n/total, variance = M2/total, count = total.
 *
 * An empty batch changes nothing.
 */
export function observe(state: RunningMoments, batch: Float64Array): RunningMoments {
  const n = batch.length;
  if (n === 0) return state;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += batch[i]!;
  const batchMean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (batch[i]! - batchMean) ** 2;
  const d = batchMean - state.mean;
  const total = state.count + n;
  const m2 = state.variance * state.count + (d * d * state.count * n) / total + squares;
  return { count: total, mean: state.mean + (d * n) / total, variance: m2 / total };
}

/**
 * √(variance·count/(count−1)), Bessel-corrected. With one value or none there is no spread to speak of: 1, so that
 * dividing by it changes nothing.
 */
export function std(state: RunningMoments): number {
  return state.count <= 1 ? 1 : Math.sqrt((state.variance * state.count) / (state.count - 1));
}
