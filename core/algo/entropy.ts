/** Entropies in nats, and the bonus that keeps a policy exploring. */
import { expectLength } from "../errors.js";
import { expectSpan } from "./arrays.js";
import type { FloatArray, LossAndGate } from "./arrays.js";

/**
 * H = −Σ_a p_a·log p_a of softmax(logits), for the `count` logits from `offset` on:
 * H = log Z − Σ_a e^{l_a}·l_a / Z with logits shifted by their maximum. A logit of −Infinity contributes 0.
 */
export function categoricalEntropy(logits: FloatArray, offset: number, count: number): number {
  expectSpan("categoricalEntropy", "logits", logits.length, offset, count);
  let max = -Infinity;
  for (let a = offset; a < offset + count; a++) if (logits[a]! > max) max = logits[a]!;
  let total = 0;
  let weighted = 0;
  for (let a = offset; a < offset + count; a++) {
    const shifted = logits[a]! - max;
    const weight = Math.exp(shifted);
    total += weight;
    if (weight !== 0) weighted += weight * shifted;
  }
  return Math.log(total) - weighted / total;
}

/** H = −Σ_a p_a·log p_a for the `count` probabilities from `offset` on; 0·log 0 = 0. */
export function entropyOfProbabilities(probabilities: FloatArray, offset: number, count: number): number {
  expectSpan("entropyOfProbabilities", "probabilities", probabilities.length, offset, count);
  let entropy = 0;
  for (let a = offset; a < offset + count; a++) {
    const p = probabilities[a]!;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return entropy;
}

/** H = Σ_d (log σ_d + ½·log 2πe) of a diagonal Gaussian; differential, so it may be negative. */
export function gaussianEntropy(logStds: FloatArray, offset: number, count: number): number {
  expectSpan("gaussianEntropy", "logStds", logStds.length, offset, count);
  let entropy = 0.5 * count * Math.log(2 * Math.PI * Math.E);
  for (let d = offset; d < offset + count; d++) entropy += logStds[d]!;
  return entropy;
}

/** The bonus as a loss on the live column H: loss = −H, gate = ∂loss/∂H = −1. entropies [N]. */
export function entropyBonus(entropies: Float64Array, out: LossAndGate): void {
  expectLength("entropyBonus", "loss", entropies.length, out.loss.length);
  expectLength("entropyBonus", "gate", entropies.length, out.gate.length);
  for (let t = 0; t < entropies.length; t++) out.loss[t] = -entropies[t]!;
  out.gate.fill(-1);
}
