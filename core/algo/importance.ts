/** Importance weights that correct for the policy that really sampled (rollout correction, decoupled PPO). */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";
import { TOKEN_LOG_RATIO_BOUND, clamp } from "./ratio.js";

export interface ImportanceInput {
  /** [N] ℓ^o, recomputed by the learner before the first update (old = proximal), nats */
  readonly oldLogprobs: Float64Array;
  /** [N] ℓ^b, of the distribution the actor sampled from, nats */
  readonly behaviorLogprobs: Float64Array;
  /** [N] */
  readonly mask: Uint8Array;
  /** [R+1] */
  readonly offsets: Uint32Array;
}

/** `token`: ℓ^o − ℓ^b of the step; `row-sum`, `row-mean`: its sum or mean over the row's chosen steps. */
export type ImportanceLevel = "token" | "row-sum" | "row-mean";

/**
 * What happens to extreme weights: `truncate` min(w, high) (TIS); `clamp` into [low, high]; `mask` 0 outside
 * [low, high] (IcePop; with low 0: masked importance sampling).
 */
export type ImportanceBound =
  | { readonly kind: "none" }
  | { readonly kind: "truncate"; readonly high: number }
  | { readonly kind: "clamp" | "mask"; readonly low: number; readonly high: number };

export interface ImportanceOptions {
  readonly level: ImportanceLevel;
  readonly bound: ImportanceBound;
  /**
   * Divides the bounded weights by their mean: over chosen steps at token level, over rows with a chosen step at row
   * level. The one part that looks beyond a row: apply it to whole batches. Left out where the mean is 0.
   */
  readonly batchNormalize: boolean;
}

/**
 * w = bound(exp(clamp(ℓ^o − ℓ^b, ±20))) at the level asked for, [N]; 0 on masked steps. Detached: multiply into the
 * loss after clipping and before aggregation, denominators unchanged (verl rollout correction; Yao et al. 2025, TIS;
 * Fu et al. 2025, AReaL's decoupled objective).
 */
export function importanceWeights(input: ImportanceInput, options: ImportanceOptions): Float64Array {
  const { oldLogprobs, behaviorLogprobs, mask, offsets } = input;
  const steps = oldLogprobs.length;
  expectLength("importanceWeights", "behaviorLogprobs", steps, behaviorLogprobs.length);
  expectLength("importanceWeights", "mask", steps, mask.length);
  expectOffsets("importanceWeights", offsets, steps);

  const weights = new Float64Array(steps);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < offsets.length - 1; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    if (options.level === "token") {
      for (let t = start; t < end; t++) {
        if (mask[t] === 0) continue;
        const weight = boundedWeight(oldLogprobs[t]! - behaviorLogprobs[t]!, options.bound);
        weights[t] = weight;
        sum += weight;
        count++;
      }
      continue;
    }
    let logWeight = 0;
    let length = 0;
    for (let t = start; t < end; t++) {
      if (mask[t] === 0) continue;
      logWeight += oldLogprobs[t]! - behaviorLogprobs[t]!;
      length++;
    }
    if (length === 0) continue;
    const weight = boundedWeight(
      options.level === "row-mean" ? logWeight / length : logWeight,
      options.bound,
    );
    for (let t = start; t < end; t++) if (mask[t] === 1) weights[t] = weight;
    sum += weight;
    count++;
  }
  if (options.batchNormalize && sum > 0) {
    const scale = count / sum;
    for (let t = 0; t < steps; t++) weights[t]! *= scale;
  }
  return weights;
}

function boundedWeight(logWeight: number, bound: ImportanceBound): number {
  const weight = Math.exp(clamp(logWeight, -TOKEN_LOG_RATIO_BOUND, TOKEN_LOG_RATIO_BOUND));
  switch (bound.kind) {
    case "none":
      return weight;
    case "truncate":
      return Math.min(weight, bound.high);
    case "clamp":
      return clamp(weight, bound.low, bound.high);
    case "mask":
      return weight < bound.low || weight > bound.high ? 0 : weight;
  }
}
