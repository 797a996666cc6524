/**
 * Exact KL(π_old ‖ π), nats, between the action distributions of the same state, from the parameters that the `policy` column
 * holds, with its derivative with respect to the live ones. Unlike the estimators of kl.ts it needs no sampled action.
 */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";
import { logSoftmax } from "./categorical.js";

export interface PolicyKlInput {
  /** [N·P] live parameters */
  readonly policies: Float64Array;
  /** [N·P] held constant */
  readonly oldPolicies: Float64Array;
}

/** Writes loss [N] and gate [N·P] = ∂loss/∂policies. */
export type PolicyKl = (input: PolicyKlInput, out: LossAndGate) => void;

/** P from the arrays' lengths. */
function widthOf(
  where: string,
  { policies, oldPolicies }: PolicyKlInput,
  { loss, gate }: LossAndGate,
): number {
  expectLength(where, "oldPolicies", policies.length, oldPolicies.length);
  expectLength(where, "gate", policies.length, gate.length);
  return loss.length === 0 ? 0 : policies.length / loss.length;
}

/**
 * One categorical over P actions; policies = logits, forbidden actions far below the others:
 *
 *   KL = Σ_a p_old(a)·(log p_old(a) − log p(a)),   ∂KL/∂l_a = p(a) − p_old(a)
 */
export const categoricalKl: PolicyKl = (input, out) => {
  const width = widthOf("categoricalKl", input, out);
  const old = new Float64Array(width);
  const live = new Float64Array(width);
  for (let t = 0; t < out.loss.length; t++) {
    logSoftmax(input.oldPolicies, t * width, width, old, 0);
    logSoftmax(input.policies, t * width, width, live, 0);
    let kl = 0;
    for (let a = 0; a < width; a++) {
      const p = Math.exp(old[a]!);
      if (p > 0) kl += p * (old[a]! - live[a]!);
      out.gate[t * width + a] = Math.exp(live[a]!) - p;
    }
    out.loss[t] = kl;
  }
};

/**
 * A diagonal Gaussian over P/2 numbers; policies = means ‖ log standard deviations. With r = (σ_old² + (μ_old − μ)²)/σ² of
 * each number,
 *
 *   KL = Σ [log σ − log σ_old + ½r − ½],   ∂KL/∂μ = (μ − μ_old)/σ²,   ∂KL/∂log σ = 1 − r
 *
 * It is also the KL of both squashed by the same function.
 */
export const gaussianKl: PolicyKl = (input, out) => {
  const width = widthOf("gaussianKl", input, out);
  const { policies, oldPolicies } = input;
  const half = width / 2;
  for (let t = 0; t < out.loss.length; t++) {
    let kl = 0;
    for (let mean = t * width; mean < t * width + half; mean++) {
      const logStd = mean + half;
      const precision = Math.exp(-2 * policies[logStd]!);
      const distance = policies[mean]! - oldPolicies[mean]!;
      const ratio = (Math.exp(2 * oldPolicies[logStd]!) + distance * distance) * precision;
      kl += policies[logStd]! - oldPolicies[logStd]! + 0.5 * (ratio - 1);
      out.gate[mean] = distance * precision;
      out.gate[logStd] = 1 - ratio;
    }
    out.loss[t] = kl;
  }
};
