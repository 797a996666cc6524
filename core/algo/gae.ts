/** Generalised advantage estimation over ragged rows. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";
import type { ReturnsInput } from "./returns.js";
import { lastChosen } from "./selection.js";

export interface GaeInput extends ReturnsInput {
  /** [N] V(s_t) of the policy version the advantages are for; held constant */
  readonly values: Float64Array;
}

export interface GaeResult {
  /** [N] Â_t, not normalised */
  readonly advantages: Float64Array;
  /** [N] R_t = Â_t + V_t, the value target, formed before any normalisation */
  readonly returns: Float64Array;
}

/**
 * What follows each row in EGAE (Fan et al. 2025, "Truncated proximal policy optimization"): after a row that neither
 * terminated nor met a time limit, V of its last chosen step; else its bootstrap value. truncated [R], 1 = a time limit → [R]
 */
export function valuesAfterCuts(
  { values, bootstrapValues, terminated, mask, offsets }: Omit<GaeInput, "rewards">,
  truncated: Float64Array,
): Float64Array {
  expectLength("valuesAfterCuts", "values", mask.length, values.length);
  expectLength("valuesAfterCuts", "truncated", bootstrapValues.length, truncated.length);
  const last = lastChosen(mask, offsets);
  return bootstrapValues.map((value, i) => {
    const cut = terminated[i] === 0 && truncated[i] === 0 && last[i]! >= 0;
    return cut ? values[last[i]!]! : value;
  });
}

/**
 * GAE(γ, λ) (Schulman et al. 2016, "High-dimensional continuous control using GAE", eq. 16), per row:
 *
 *   δ_t = r_t + γ·V_{t+1} − V_t,   Â_t = δ_t + γλ·Â_{t+1},   Â_T = 0,
 *   V_T = 0 if the row terminated, else bootstrapValues (truncated and unfinished rows alike).
 *
 * Masked steps are skipped (verl `compute_gae_advantage_return`): the chain V_{t+1}, Â_{t+1} runs over chosen steps
 * only, the reward of a masked step is not read, and a masked step shows the Â of the chosen step after it.
 * One trajectory's episode end inside a fragment is a row boundary, so nothing leaks across it.
 */
export function gae(
  input: GaeInput,
  parameters: { readonly gamma: number; readonly lambda: number },
): GaeResult {
  const { rewards, values, bootstrapValues, terminated, mask, offsets } = input;
  const { gamma, lambda } = parameters;
  const steps = rewards.length;
  const rows = offsets.length - 1;
  expectOffsets("gae", offsets, steps);
  expectLength("gae", "values", steps, values.length);
  expectLength("gae", "mask", steps, mask.length);
  expectLength("gae", "bootstrapValues", rows, bootstrapValues.length);
  expectLength("gae", "terminated", rows, terminated.length);

  const advantages = new Float64Array(steps);
  const returns = new Float64Array(steps);
  for (let i = 0; i < rows; i++) {
    let nextValue = terminated[i] === 1 ? 0 : bootstrapValues[i]!;
    let advantage = 0;
    for (let t = offsets[i + 1]! - 1; t >= offsets[i]!; t--) {
      const value = values[t]!;
      if (mask[t] === 1) {
        advantage = rewards[t]! + gamma * nextValue - value + gamma * lambda * advantage;
        nextValue = value;
      }
      advantages[t] = advantage;
      returns[t] = advantage + value;
    }
  }
  return { advantages, returns };
}
