/**
 * The tanh-squashed Gaussian (Haarnoja et al. 2018, "Soft Actor-Critic", appendix C): u ~ N(mean, σ), and the
 * environment gets low + (high − low)·(tanh u + 1)/2. Records hold u, so that no inverse of tanh is ever taken.
 */
import { expectSpan } from "./arrays.js";
import type { FloatArray } from "./arrays.js";

/** log(1 − tanh² u) = 2(log 2 − |u| − log(1 + e^{−2|u|})): finite however large |u| is. */
export function logTanhSlope(u: number): number {
  const size = Math.abs(u);
  return 2 * (Math.LN2 - size - Math.log1p(Math.exp(-2 * size)));
}

/** u of one dimension → the action the environment gets. */
export function squash(u: number, low: number, high: number): number {
  return low + ((high - low) * (Math.tanh(u) + 1)) / 2;
}

/** Σ_d log((high_d − low_d)/2): the part of the change of variables that no action changes. lows, highs [A]. */
export function logHalfRanges(lows: readonly number[], highs: readonly number[]): number {
  return lows.reduce((sum, low, d) => sum + Math.log((highs[d]! - low) / 2), 0);
}

/**
 * What is subtracted from log N(u) to make it the log-density of the squashed action, nats:
 * Σ_d log(1 − tanh² u_d) + Σ_d log((high_d − low_d)/2), for `count` = A numbers u from `offset` on.
 */
export function squashCorrection(u: FloatArray, offset: number, count: number, logHalfRange: number): number {
  expectSpan("squashCorrection", "u", u.length, offset, count);
  let correction = logHalfRange;
  for (let d = offset; d < offset + count; d++) correction += logTanhSlope(u[d]!);
  return correction;
}
