/**
 * The categorical distribution softmax(logits) over A actions. Each function reads `count` = A elements from `offset`
 * of an array that may hold many steps, allocates nothing and draws nothing: randomness comes in as a number.
 * A logit of −Infinity forbids its action: probability 0, never sampled. Apply temperature to the logits first.
 */
import { SkeinError } from "../errors.js";
import { expectSpan } from "./arrays.js";
import type { FloatArray } from "./arrays.js";

/** log Σ_a e^{l_a}, shifted by the maximum so that nothing overflows; NaN where a logit is NaN or none is finite. */
export function logSumExp(logits: FloatArray, offset: number, count: number): number {
  expectSpan("logSumExp", "logits", logits.length, offset, count);
  const max = maximum(logits, offset, count);
  let total = 0;
  for (let a = offset; a < offset + count; a++) total += Math.exp(logits[a]! - max);
  return max + Math.log(total);
}

/** log p_a = l_a − log Σ e^l, written to `count` elements of `out` from `outOffset`; `out` may be `logits`. */
export function logSoftmax(
  logits: FloatArray,
  offset: number,
  count: number,
  out: FloatArray,
  outOffset: number,
): void {
  expectSpan("logSoftmax", "out", out.length, outOffset, count);
  const normalizer = logSumExp(logits, offset, count);
  for (let a = 0; a < count; a++) out[outOffset + a] = logits[offset + a]! - normalizer;
}

/** log p of one action, nats; −Infinity for a forbidden one. */
export function categoricalLogprob(
  logits: FloatArray,
  offset: number,
  count: number,
  action: number,
): number {
  if (!(Number.isInteger(action) && action >= 0 && action < count)) {
    throw new SkeinError(
      "SHAPE",
      `categoricalLogprob: expected an action in 0 … ${count - 1}, got ${action}`,
    );
  }
  return logits[offset + action]! - logSumExp(logits, offset, count);
}

/** ‖∂ log p_action / ∂ logits‖² = 1 − 2·p_action + Σ_a p_a². */
export function logitGradientNorm(logits: FloatArray, offset: number, count: number, action: number): number {
  const normalizer = logSumExp(logits, offset, count);
  let squares = 0;
  for (let a = 0; a < count; a++) {
    const p = Math.exp(logits[offset + a]! - normalizer);
    squares += a === action ? (1 - p) ** 2 : p * p;
  }
  return squares;
}

/**
 * The action whose share of [0, 1) holds `u`: the smallest a with u < Σ_{b≤a} p_b (inverse distribution function).
 * u uniform in [0, 1) makes actions distributed as softmax(logits). Throws where no action is possible or a logit is
 * NaN or +Infinity.
 */
export function sampleCategorical(logits: FloatArray, offset: number, count: number, u: number): number {
  expectSpan("sampleCategorical", "logits", logits.length, offset, count);
  const max = maximum(logits, offset, count);
  let total = 0;
  for (let a = offset; a < offset + count; a++) total += Math.exp(logits[a]! - max);
  if (!(total > 0)) {
    throw new SkeinError(
      "INTERNAL",
      `sampleCategorical: expected finite logits with one action possible, got maximum ${max} and Σ exp ${total}`,
    );
  }
  const threshold = u * total;
  let cumulative = 0;
  let last = 0;
  for (let a = 0; a < count; a++) {
    const weight = Math.exp(logits[offset + a]! - max);
    if (weight === 0) continue;
    cumulative += weight;
    if (threshold < cumulative) return a;
    last = a;
  }
  // Rounding may leave u·Σ at Σ itself: the last possible action owns that edge.
  return last;
}

/** The index (from 0) of the largest element; the lowest of equals. */
export function argmax(values: FloatArray, offset: number, count: number): number {
  expectSpan("argmax", "values", values.length, offset, count);
  let best = 0;
  for (let a = 1; a < count; a++) if (values[offset + a]! > values[offset + best]!) best = a;
  return best;
}

/** NaN among the logits makes the sum of exponentials NaN, which callers see; it is not looked for here. */
function maximum(logits: FloatArray, offset: number, count: number): number {
  let max = -Infinity;
  for (let a = offset; a < offset + count; a++) if (logits[a]! > max) max = logits[a]!;
  return max;
}
