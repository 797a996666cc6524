/** Global-norm clipping and Adam on flat arrays: the optimiser of every engine that keeps weights in JavaScript. */
import { expectLength } from "../errors.js";
import type { OptimizerStep } from "./engine.js";

export interface AdamState {
  steps: number;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

export function adamState(size: number): AdamState {
  return { steps: 0, m: new Float32Array(size), v: new Float32Array(size) };
}

/** √Σg², in float64. */
export function globalNorm(gradient: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!;
  return Math.sqrt(sum);
}

/**
 * One step of Adam (Kingma & Ba 2015, algorithm 1; ε outside the root of the bias-corrected second moment),
 * after scaling `gradient` by min(1, maxGradNorm / (norm + 1e-6)). Changes `weights` and `state` in place.
 */
export function adamStep(
  weights: Float32Array,
  gradient: Float32Array,
  norm: number,
  state: AdamState,
  step: OptimizerStep,
): void {
  expectLength("adamStep", "gradient", weights.length, gradient.length);
  expectLength("adamStep", "moments", weights.length, state.m.length);
  const { beta1, beta2, epsilon, learningRate, maxGradNorm } = step;
  const scale = Math.min(1, maxGradNorm / (norm + 1e-6));
  const t = ++state.steps;
  const stepSize = learningRate / (1 - beta1 ** t);
  const rootCorrection = 1 / Math.sqrt(1 - beta2 ** t);
  const { m, v } = state;
  for (let i = 0; i < weights.length; i++) {
    const g = gradient[i]! * scale;
    const mi = beta1 * m[i]! + (1 - beta1) * g;
    const vi = beta2 * v[i]! + (1 - beta2) * g * g;
    m[i] = mi;
    v[i] = vi;
    weights[i]! -= (stepSize * mi) / (Math.sqrt(vi) * rootCorrection + epsilon);
  }
}
