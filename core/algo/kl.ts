/**
 * Estimators of a KL divergence from the logprobs of sampled actions (Schulman, "Approximating KL divergence", 2020).
 *
 * Direction, everywhere: with actions sampled from the policy of `logprobs`, the mean over samples of k(D),
 * D = logprobs − refLogprobs, estimates KL(π ‖ π_ref). gate = ∂k/∂logprobs with refLogprobs held constant; that is the
 * derivative of the sampled number, which is the gradient of the KL only where it says so.
 */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";
import { clamp } from "./ratio.js";

export interface KlInput {
  /** [N] ℓ, of the policy that sampled, nats */
  readonly logprobs: Float64Array;
  /** [N] ℓ^r, of the policy compared with, nats */
  readonly refLogprobs: Float64Array;
}

/** Writes loss [N] = k(D), nats, and gate [N]. */
export type KlEstimator = (input: KlInput, out: LossAndGate) => void;

/** k3's log-ratio is clamped to ± this and its value to at most the next (verl `low_var_kl`). */
const LOG_RATIO_BOUND = 20;
const K3_MAX = 10;

/** k1 = D: unbiased value. gate = 1, whose mean gradient is zero: never a loss, only a metric or a reward. */
export const klK1: KlEstimator = (input, out) => {
  const n = checkedLength("klK1", input, out);
  for (let t = 0; t < n; t++) {
    out.loss[t] = input.logprobs[t]! - input.refLogprobs[t]!;
    out.gate[t] = 1;
  }
};

/** k2 = ½D²: biased value. gate = D, on policy the unbiased gradient of KL(π ‖ π_ref). */
export const klK2: KlEstimator = (input, out) => {
  const n = checkedLength("klK2", input, out);
  for (let t = 0; t < n; t++) {
    const d = input.logprobs[t]! - input.refLogprobs[t]!;
    out.loss[t] = 0.5 * d * d;
    out.gate[t] = d;
  }
};

/**
 * k3 = e^{−D} + D − 1: unbiased, never negative. gate = 1 − e^{−D}, and 0 where the value is held at 10 (which
 * |D| > 20 implies), as automatic differentiation of the clamped form gives.
 */
export const klK3: KlEstimator = (input, out) => {
  const n = checkedLength("klK3", input, out);
  for (let t = 0; t < n; t++) {
    const raw = input.logprobs[t]! - input.refLogprobs[t]!;
    const value = k3(raw);
    out.loss[t] = value;
    out.gate[t] = value === K3_MAX ? 0 : 1 - Math.exp(-raw);
  }
};

/** k3+: the value of k3 with the gradient of k2 (straight-through): gate = D. */
export const klK3Plus: KlEstimator = (input, out) => {
  const n = checkedLength("klK3Plus", input, out);
  for (let t = 0; t < n; t++) {
    const d = input.logprobs[t]! - input.refLogprobs[t]!;
    out.loss[t] = k3(d);
    out.gate[t] = d;
  }
};

/** |D| (verl `abs`): gate = sign(D), sign(0) = 0: a pull of the same strength however far away (KL-Cov, Cui et al. 2025). */
export const klAbsolute: KlEstimator = (input, out) => {
  const n = checkedLength("klAbsolute", input, out);
  for (let t = 0; t < n; t++) {
    const d = input.logprobs[t]! - input.refLogprobs[t]!;
    out.loss[t] = Math.abs(d);
    out.gate[t] = Math.sign(d);
  }
};

/** min(e^{−D} + D − 1, 10) with D clamped to ±20; expm1 keeps the digits of a small D. */
function k3(d: number): number {
  const bounded = clamp(d, -LOG_RATIO_BOUND, LOG_RATIO_BOUND);
  return Math.min(Math.expm1(-bounded) + bounded, K3_MAX);
}

/**
 * Mean over chosen steps of k3 = ρ − 1 − log ρ, which estimates KL(π_old ‖ π), nats: what PPO logs as approx_kl and
 * stops early on. logRatios = log π − log π_old of actions sampled from π_old; logRatios, mask [N] → number.
 */
export function approximateKl(logRatios: Float64Array, mask: Uint8Array): number {
  expectLength("approximateKl", "mask", logRatios.length, mask.length);
  let sum = 0;
  let count = 0;
  for (let t = 0; t < mask.length; t++) {
    if (mask[t] === 0) continue;
    sum += Math.expm1(logRatios[t]!) - logRatios[t]!;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

/**
 * KL in the reward: r_t − β·(ℓ^o_t − ℓ^r_t) on chosen steps, r_t elsewhere (Ziegler et al. 2019, eq. 2). oldLogprobs are
 * those of the data, not live: nothing is differentiated. rewards, oldLogprobs, refLogprobs, mask [N] → [N].
 */
export function klShapedRewards(
  input: {
    readonly rewards: Float64Array;
    readonly oldLogprobs: Float64Array;
    readonly refLogprobs: Float64Array;
    readonly mask: Uint8Array;
  },
  beta: number,
): Float64Array {
  const { rewards, oldLogprobs, refLogprobs, mask } = input;
  expectLength("klShapedRewards", "oldLogprobs", rewards.length, oldLogprobs.length);
  expectLength("klShapedRewards", "refLogprobs", rewards.length, refLogprobs.length);
  expectLength("klShapedRewards", "mask", rewards.length, mask.length);
  const shaped = Float64Array.from(rewards);
  for (let t = 0; t < shaped.length; t++) {
    if (mask[t] === 1) shaped[t]! -= beta * (oldLogprobs[t]! - refLogprobs[t]!);
  }
  return shaped;
}

function checkedLength(where: string, input: KlInput, out: LossAndGate): number {
  const n = input.logprobs.length;
  expectLength(where, "refLogprobs", n, input.refLogprobs.length);
  expectLength(where, "loss", n, out.loss.length);
  expectLength(where, "gate", n, out.gate.length);
  return n;
}
