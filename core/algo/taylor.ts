/** Advantages of second order in the ratios of several steps: what a Taylor expansion of the return adds to the first. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";
import { clamp } from "./ratio.js";

export interface TaylorInput {
  /** [N] log π/μ of the actions taken, held constant */
  readonly logRatios: Float64Array;
  /** [N] of the policy μ that acted */
  readonly advantages: Float64Array;
  /** [N] 1 = chosen by the policy */
  readonly mask: Uint8Array;
  /** [R+1] */
  readonly offsets: Uint32Array;
}

/**
 * Second-order Taylor policy optimisation (Tang et al. 2020, "Taylor expansion policy optimization", U_1 + U_2). With
 * d_t = clip(ρ_t, 1 ± ε) − 1, the objective of a row
 *
 *   Σ_t d_t·Â_t + Σ_{s<t} γ^{t−s}·d_s·d_t·Â_t
 *
 * has by ρ_s the slope
 *
 *   Â'_s = Â_s·(1 + Σ_{u<s} γ^{s−u}·d_u) + Σ_{t>s} γ^{t−s}·d_t·Â_t,
 *
 * which stands in Â's place in any surrogate of first order. All pairs of steps, in linear time. Masked steps take no time and
 * get 0. [N] → [N]
 */
export function secondOrderAdvantages(
  input: TaylorInput,
  { gamma, clipEpsilon }: { readonly gamma: number; readonly clipEpsilon: number },
): Float64Array {
  const { logRatios, advantages, mask, offsets } = input;
  expectOffsets("secondOrderAdvantages", offsets, logRatios.length);
  expectLength("secondOrderAdvantages", "advantages", logRatios.length, advantages.length);
  expectLength("secondOrderAdvantages", "mask", logRatios.length, mask.length);
  const excess = logRatios.map((x) => clamp(Math.exp(x), 1 - clipEpsilon, 1 + clipEpsilon) - 1);
  const result = new Float64Array(logRatios.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    let before = 0;
    for (let s = offsets[i]!; s < offsets[i + 1]!; s++) {
      if (mask[s] === 0) continue;
      result[s] = advantages[s]! * (1 + before);
      before = gamma * (before + excess[s]!);
    }
    let after = 0;
    for (let s = offsets[i + 1]! - 1; s >= offsets[i]!; s--) {
      if (mask[s] === 0) continue;
      result[s]! += after;
      after = gamma * (after + excess[s]! * advantages[s]!);
    }
  }
  return result;
}
