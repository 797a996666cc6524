/** Monte-Carlo returns over ragged rows. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";

export interface ReturnsInput {
  /** [N] */
  readonly rewards: Float64Array;
  /** [R] value of the observation after each row's last step; not read where the row terminated */
  readonly bootstrapValues: Float64Array;
  /** [R] 1 = the episode reached an end state; a truncated or unfinished row bootstraps */
  readonly terminated: Uint8Array;
  /** [N] 1 = chosen by the policy */
  readonly mask: Uint8Array;
  /** [R+1] */
  readonly offsets: Uint32Array;
}

/**
 * Discounted reward-to-go, [N]:
 *
 *   G_t = r_t + γ·G_{t+1},   G_T = 0 if the row terminated, else the bootstrap value.
 *
 * Masked steps take no time: they are neither rewarded nor discounted, and show the return that follows them.
 * Equals GAE's return target with λ = 1.
 */
export function discountedReturns(input: ReturnsInput, gamma: number): Float64Array {
  const { rewards, bootstrapValues, terminated, mask, offsets } = input;
  const rows = offsets.length - 1;
  expectOffsets("discountedReturns", offsets, rewards.length);
  expectLength("discountedReturns", "mask", rewards.length, mask.length);
  expectLength("discountedReturns", "bootstrapValues", rows, bootstrapValues.length);
  expectLength("discountedReturns", "terminated", rows, terminated.length);

  const returns = new Float64Array(rewards.length);
  for (let i = 0; i < rows; i++) {
    let following = terminated[i] === 1 ? 0 : bootstrapValues[i]!;
    for (let t = offsets[i + 1]! - 1; t >= offsets[i]!; t--) {
      if (mask[t] === 1) following = rewards[t]! + gamma * following;
      returns[t] = following;
    }
  }
  return returns;
}
