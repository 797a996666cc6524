/** Numbers of a whole action distribution, from the logits of N steps, P to a step. */
import { SkeinError, expectLength } from "../errors.js";
import { logSumExp } from "./categorical.js";
import type { LossAndGate } from "./arrays.js";

function widthOf(where: string, logits: Float64Array, steps: number): number {
  const width = steps === 0 ? 0 : logits.length / steps;
  if (Number.isInteger(width) && (width > 0 || steps === 0)) return width;
  throw new SkeinError(
    "SHAPE",
    `${where}: expected logits [N·P] for N = ${steps} steps, got [${logits.length}]`,
  );
}

/** log Z_t = log Σ_a e^{l_{t,a}}; logits [N·P] → [N], nats. */
export function logPartitions(logits: Float64Array, steps: number): Float64Array {
  const width = widthOf("logPartitions", logits, steps);
  return Float64Array.from({ length: steps }, (_, t) => logSumExp(logits, t * width, width));
}

/** loss = log Z_t, gate = ∂log Z_t/∂l_{t,a} = p_{t,a}. logits, gate [N·P]; loss [N]. */
export function logPartition(logits: Float64Array, out: LossAndGate): void {
  expectLength("logPartition", "gate", logits.length, out.gate.length);
  const width = widthOf("logPartition", logits, out.loss.length);
  for (let t = 0; t < out.loss.length; t++) {
    const normalizer = logSumExp(logits, t * width, width);
    out.loss[t] = normalizer;
    for (let k = t * width; k < (t + 1) * width; k++) out.gate[k] = Math.exp(logits[k]! - normalizer);
  }
}

/**
 * Mean of log p_{t,a} over the actions that step t allows, all alike: −H(uniform, π). logits [N·P], allowed [N·P] or null
 * where every action is; → [N], nats.
 */
export function meanLogprobs(logits: Float64Array, allowed: Uint8Array | null, steps: number): Float64Array {
  const width = widthOf("meanLogprobs", logits, steps);
  if (allowed !== null) expectLength("meanLogprobs", "allowed", logits.length, allowed.length);
  const normalizers = logPartitions(logits, steps);
  return normalizers.map((normalizer, t) => {
    let sum = 0;
    let count = 0;
    for (let k = t * width; k < (t + 1) * width; k++) {
      if (allowed?.[k] === 0) continue;
      sum += logits[k]!;
      count++;
    }
    return sum / count - normalizer;
  });
}
