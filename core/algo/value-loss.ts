/** Critic losses: per step a loss and its derivative with respect to the live value. */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";
import { clamp } from "./ratio.js";

export interface ValueLossInput {
  /** [N] v, live value */
  readonly values: Float64Array;
  /** [N] value when the data was collected or first recomputed; held constant */
  readonly oldValues: Float64Array;
  /** [N] R, the value target; held constant */
  readonly valueTargets: Float64Array;
}

/** Writes loss [N] and gate [N] = ∂loss/∂v. The ½ is built in. */
export type ValueLoss = (input: ValueLossInput, out: LossAndGate) => void;

/** loss = ½(v − R)², gate = v − R. */
export function squaredValueLoss(): ValueLoss {
  return (input, out) => {
    const n = checkedLength("squaredValueLoss", input, out);
    const { values, valueTargets } = input;
    for (let t = 0; t < n; t++) {
      const error = values[t]! - valueTargets[t]!;
      out.loss[t] = 0.5 * error * error;
      out.gate[t] = error;
    }
  };
}

/**
 * loss = ½·max((v − R)², (clip(v, v_old ± ε) − R)²); gate = 0 where the clipped branch is strictly larger, since v is
 * then outside the window, else v − R (Schulman et al.'s PPO code; verl `compute_value_loss`).
 */
export function clippedValueLoss({ epsilon }: { readonly epsilon: number }): ValueLoss {
  return (input, out) => {
    const n = checkedLength("clippedValueLoss", input, out);
    const { values, oldValues, valueTargets } = input;
    for (let t = 0; t < n; t++) {
      const old = oldValues[t]!;
      const error = values[t]! - valueTargets[t]!;
      const clippedError = clamp(values[t]!, old - epsilon, old + epsilon) - valueTargets[t]!;
      const binds = clippedError * clippedError > error * error;
      const worst = binds ? clippedError : error;
      out.loss[t] = 0.5 * worst * worst;
      out.gate[t] = binds ? 0 : error;
    }
  };
}

function checkedLength(where: string, input: ValueLossInput, out: LossAndGate): number {
  const n = input.values.length;
  expectLength(where, "oldValues", n, input.oldValues.length);
  expectLength(where, "valueTargets", n, input.valueTargets.length);
  expectLength(where, "loss", n, out.loss.length);
  expectLength(where, "gate", n, out.gate.length);
  return n;
}
