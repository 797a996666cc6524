/** V-trace: value targets and policy-gradient advantages of steps that another policy took. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";
import type { GaeInput, GaeResult } from "./gae.js";

export interface VtraceInput extends GaeInput {
  /** [N] log π/μ of the actions taken, held constant */
  readonly logRatios: Float64Array;
}

export interface VtraceParameters {
  readonly gamma: number;
  /** λ of the trace coefficients c */
  readonly lambda: number;
  /** ρ̄ of the value targets */
  readonly maxRatio: number;
  /** ρ̄_pg of the advantages */
  readonly maxPolicyRatio: number;
}

/**
 * V-trace (Espeholt et al. 2018, "IMPALA", eq. 1; advantages: §4.2), per row:
 *
 *   δ_t = min(ρ̄, ρ_t)·(r_t + γ·V_{t+1} − V_t),   c_t = λ·min(1, ρ_t)
 *   v_t − V_t = δ_t + γ·c_t·(v_{t+1} − V_{t+1}),   Â_t = min(ρ̄_pg, ρ_t)·(r_t + γ·v_{t+1} − V_t)
 *
 * V_T = v_T = 0 if the row terminated, else its bootstrap value. `returns` are the targets v. Masked steps are skipped as
 * in `gae`. On policy (ρ = 1) with λ = 1 the targets are the discounted returns.
 */
export function vtrace(
  input: VtraceInput,
  { gamma, lambda, maxRatio, maxPolicyRatio }: VtraceParameters,
): GaeResult {
  const { rewards, values, bootstrapValues, terminated, mask, offsets, logRatios } = input;
  const steps = rewards.length;
  const rows = offsets.length - 1;
  expectOffsets("vtrace", offsets, steps);
  for (const [name, column] of Object.entries({ values, mask, logRatios })) {
    expectLength("vtrace", name, steps, column.length);
  }
  expectLength("vtrace", "bootstrapValues", rows, bootstrapValues.length);
  expectLength("vtrace", "terminated", rows, terminated.length);

  const advantages = new Float64Array(steps);
  const returns = new Float64Array(steps);
  for (let i = 0; i < rows; i++) {
    let nextValue = terminated[i] === 1 ? 0 : bootstrapValues[i]!;
    let nextTarget = nextValue;
    let advantage = 0;
    for (let t = offsets[i + 1]! - 1; t >= offsets[i]!; t--) {
      if (mask[t] === 1) {
        const ratio = Math.exp(logRatios[t]!);
        const value = values[t]!;
        const delta = Math.min(maxRatio, ratio) * (rewards[t]! + gamma * nextValue - value);
        advantage = Math.min(maxPolicyRatio, ratio) * (rewards[t]! + gamma * nextTarget - value);
        nextTarget = value + delta + gamma * lambda * Math.min(1, ratio) * (nextTarget - nextValue);
        nextValue = value;
      }
      advantages[t] = advantage;
      returns[t] = nextTarget;
    }
  }
  return { advantages, returns };
}
