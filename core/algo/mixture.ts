/**
 * A mixture of K diagonal Gaussians over A numbers, π(a) = Σ_k w_k·N(a; μ_k, σ_k), w = softmax of gate logits. One
 * distribution is P = K·(1 + 2A) numbers of the `policy` column: gate logits [K] ‖ means [K·A] ‖ log standard deviations [K·A].
 */
import { expectLength } from "../errors.js";
import type { FloatArray, LossAndGate } from "./arrays.js";
import { argmax, logSoftmax, logSumExp } from "./categorical.js";
import { gaussianLogprob } from "./gaussian.js";

/** K of a policy column of `width` numbers a step, for actions of A numbers. */
export function componentsOf(width: number, actionWidth: number): number {
  return width / (1 + 2 * actionWidth);
}

/** One step of a policy column and of the actions. */
export interface MixtureStep {
  readonly policy: FloatArray;
  readonly policyOffset: number;
  readonly components: number;
  readonly actions: FloatArray;
  readonly actionOffset: number;
  readonly actionWidth: number;
}

/** log w_k + log N(a; μ_k, σ_k) of each component into `out` [K], nats; returns log π(a), the log-sum-exp of them. */
export function mixtureLogprob(step: MixtureStep, out: Float64Array): number {
  const { policy, policyOffset, components, actions, actionOffset, actionWidth } = step;
  expectLength("mixtureLogprob", "out", components, out.length);
  logSoftmax(policy, policyOffset, components, out, 0);
  const means = policyOffset + components;
  const logStds = means + components * actionWidth;
  for (let k = 0; k < components; k++) {
    const [mean, logStd] = [means + k * actionWidth, logStds + k * actionWidth];
    out[k]! += gaussianLogprob(policy, mean, policy, logStd, actions, actionOffset, actionWidth);
  }
  return logSumExp(out, 0, components);
}

/** p(k | a): how likely each component is to have drawn the action, [N·K]. policies [N·P], actions [N·A] */
export function responsibilities(policies: FloatArray, actions: FloatArray, steps: number): Float64Array {
  const actionWidth = actions.length / steps;
  const width = policies.length / steps;
  const components = componentsOf(width, actionWidth);
  const joint = new Float64Array(components);
  const result = new Float64Array(steps * components);
  for (let t = 0; t < steps; t++) {
    const at = { policyOffset: t * width, actionOffset: t * actionWidth };
    const logprob = mixtureLogprob({ policy: policies, actions, components, actionWidth, ...at }, joint);
    for (let k = 0; k < components; k++) result[t * components + k] = Math.exp(joint[k]! - logprob);
  }
  return result;
}

/** argmax_k Q_k of each step, the lowest of equals. values [N·K] → [N] */
export function bestComponents(values: FloatArray, steps: number): Float64Array {
  const components = values.length / steps;
  return Float64Array.from({ length: steps }, (_, t) => argmax(values, t * components, components));
}

/**
 * The frequency loss of PMOE (Ren et al. 2021): loss = mean_k (w_k − 1[k = best])², which draws the gate towards the component
 * `best` [N]. policies [N·P]; gate = ∂loss/∂policies, 0 beyond the gate logits: with e_k = 2(w_k − 1[k = best])/K it is
 * w_k·(e_k − Σ_j w_j·e_j).
 */
export function frequencyLoss(
  policies: Float64Array,
  best: Float64Array,
  components: number,
  out: LossAndGate,
): void {
  const steps = best.length;
  expectLength("frequencyLoss", "loss", steps, out.loss.length);
  expectLength("frequencyLoss", "gate", policies.length, out.gate.length);
  const width = policies.length / steps;
  const weights = new Float64Array(components);
  out.gate.fill(0);
  for (let t = 0; t < steps; t++) {
    logSoftmax(policies, t * width, components, weights, 0);
    let [loss, mean] = [0, 0];
    for (let k = 0; k < components; k++) {
      weights[k] = Math.exp(weights[k]!);
      const error = weights[k]! - (k === best[t] ? 1 : 0);
      loss += (error * error) / components;
      out.gate[t * width + k] = (2 * error) / components;
      mean += weights[k]! * out.gate[t * width + k]!;
    }
    for (let k = 0; k < components; k++) {
      out.gate[t * width + k] = weights[k]! * (out.gate[t * width + k]! - mean);
    }
    out.loss[t] = loss;
  }
}

/**
 * loss = Σ_k p_k·(Q_k − G)², gate = 2·p_k·(Q_k − G): each component's value learns the return as far as the component is likely to
 * have drawn the action. values, shares [N·K], returns [N]
 */
export function componentValueLoss(
  values: Float64Array,
  shares: Float64Array,
  returns: Float64Array,
  out: LossAndGate,
): void {
  expectLength("componentValueLoss", "shares", values.length, shares.length);
  expectLength("componentValueLoss", "gate", values.length, out.gate.length);
  expectLength("componentValueLoss", "loss", returns.length, out.loss.length);
  const components = values.length / returns.length;
  for (let t = 0; t < returns.length; t++) {
    let loss = 0;
    for (let at = t * components; at < (t + 1) * components; at++) {
      const error = values[at]! - returns[t]!;
      loss += shares[at]! * error * error;
      out.gate[at] = 2 * shares[at]! * error;
    }
    out.loss[t] = loss;
  }
}
