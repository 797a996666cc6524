/** Log-ratios of the live policy to the old one, at token and at sequence level. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";

/** A token's log-ratio is clamped to ± this, so that exp stays finite (verl). */
export const TOKEN_LOG_RATIO_BOUND = 20;
/** A sequence's log-ratio is clamped to at most this (verl, GSPO). */
export const SEQUENCE_LOG_RATIO_MAX = 10;

export function clamp(x: number, low: number, high: number): number {
  return x < low ? low : x > high ? high : x;
}

/** x, held within ± limit unless that is null. */
export function within(x: number, limit: number | null): number {
  return limit === null ? x : clamp(x, -limit, limit);
}

/** Δ_t = clamp(ℓ_t − ℓ^o_t, −20, 20); logprobs, oldLogprobs [N] → [N], nats. */
export function tokenLogRatios(
  logprobs: Float64Array,
  oldLogprobs: Float64Array,
  out: Float64Array = new Float64Array(logprobs.length),
): Float64Array {
  expectLength("tokenLogRatios", "oldLogprobs", logprobs.length, oldLogprobs.length);
  expectLength("tokenLogRatios", "out", logprobs.length, out.length);
  for (let t = 0; t < out.length; t++) {
    out[t] = clamp(logprobs[t]! - oldLogprobs[t]!, -TOKEN_LOG_RATIO_BOUND, TOKEN_LOG_RATIO_BOUND);
  }
  return out;
}

/**
 * The length-normalised sequence log-ratio of GSPO (Zheng et al. 2025, "Group sequence policy optimization"), given to every step of its row:
 *
 *   log s_i = clamp(Σ_t m·(ℓ_t − ℓ^o_t) / L_i, −20, 10)
 *
 * A row without chosen steps gets 0. To a surrogate this is a detached value whose derivative with respect to each
 * token's logprob is s_i (s_{i,t} = sg[s_i]·exp(ℓ_t − sg[ℓ_t])). logprobs, oldLogprobs, mask [N] → [N], nats.
 */
export function sequenceLogRatios(
  logprobs: Float64Array,
  oldLogprobs: Float64Array,
  mask: Uint8Array,
  offsets: Uint32Array,
  out: Float64Array = new Float64Array(logprobs.length),
): Float64Array {
  expectLength("sequenceLogRatios", "oldLogprobs", logprobs.length, oldLogprobs.length);
  expectLength("sequenceLogRatios", "mask", logprobs.length, mask.length);
  expectLength("sequenceLogRatios", "out", logprobs.length, out.length);
  expectOffsets("sequenceLogRatios", offsets, logprobs.length);
  for (let i = 0; i < offsets.length - 1; i++) {
    let sum = 0;
    let length = 0;
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
      if (mask[t] === 0) continue;
      sum += logprobs[t]! - oldLogprobs[t]!;
      length++;
    }
    const mean = length === 0 ? 0 : sum / length;
    out.fill(clamp(mean, -TOKEN_LOG_RATIO_BOUND, SEQUENCE_LOG_RATIO_MAX), offsets[i], offsets[i + 1]);
  }
  return out;
}

/** Ψ_i = Σ_t m·(ℓ_t − ℓ^r_t), the log-ratio of a whole row; logprobs, refLogprobs, mask [N] → [R], nats, not clamped. */
export function summedLogRatios(
  logprobs: Float64Array,
  refLogprobs: Float64Array,
  mask: Uint8Array,
  offsets: Uint32Array,
): Float64Array {
  expectLength("summedLogRatios", "refLogprobs", logprobs.length, refLogprobs.length);
  expectLength("summedLogRatios", "mask", logprobs.length, mask.length);
  expectOffsets("summedLogRatios", offsets, logprobs.length);
  const sums = new Float64Array(offsets.length - 1);
  for (let i = 0; i < sums.length; i++) {
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
      if (mask[t] === 1) sums[i]! += logprobs[t]! - refLogprobs[t]!;
    }
  }
  return sums;
}

/** ρ = exp(log-ratio); [N] → [N]. `out` may be the input. */
export function ratios(
  logRatios: Float64Array,
  out: Float64Array = new Float64Array(logRatios.length),
): Float64Array {
  expectLength("ratios", "out", logRatios.length, out.length);
  for (let t = 0; t < out.length; t++) out[t] = Math.exp(logRatios[t]!);
  return out;
}
