/** The surrogate of geometric-mean policy optimisation. */
import { expectLength } from "../errors.js";
import { expectOffsets, type LossAndGate } from "./arrays.js";
import type { ClipEpsilon } from "./surrogates.js";

/**
 * One ratio a row, the geometric mean of its steps' ratios, each clipped before it enters (Zhao et al. 2025,
 * "Geometric-mean policy optimization"; verl):
 *
 *   Δ'_t = min(Δ_t, high) where A_t > 0, max(Δ_t, −low) where A_t < 0, 0 where A_t = 0;  ρ_i = exp(Σ m·Δ'_t / L_i)
 *   loss = −A_i·ρ_i at each step of the row, A_i the mean of A_t; gate = −A_i·ρ_i where Δ'_t is not clipped, else 0
 *
 * The gate is ∂loss/∂ℓ_t times L_i, so that seq-mean-token-mean makes it the derivative of mean_i(−A_i·ρ_i). The
 * window is of log-ratios, nats. logprobs, oldLogprobs, advantages, mask [N], offsets [R+1]; writes loss, gate [N].
 */
export function geometricMeanClip(
  input: {
    readonly logprobs: Float64Array;
    readonly oldLogprobs: Float64Array;
    readonly advantages: Float64Array;
    readonly mask: Uint8Array;
    readonly offsets: Uint32Array;
  },
  { low, high }: ClipEpsilon,
  out: LossAndGate,
): void {
  const { logprobs, oldLogprobs, advantages, mask, offsets } = input;
  const steps = logprobs.length;
  expectLength("geometricMeanClip", "oldLogprobs", steps, oldLogprobs.length);
  expectLength("geometricMeanClip", "advantages", steps, advantages.length);
  expectLength("geometricMeanClip", "mask", steps, mask.length);
  expectOffsets("geometricMeanClip", offsets, steps);
  for (let i = 0; i + 1 < offsets.length; i++) {
    const [from, to] = [offsets[i]!, offsets[i + 1]!];
    let [logRatio, advantage, length] = [0, 0, 0];
    for (let t = from; t < to; t++) {
      const raw = logprobs[t]! - oldLogprobs[t]!;
      const sign = Math.sign(advantages[t]!);
      const kept = sign > 0 ? Math.min(raw, high) : sign < 0 ? Math.max(raw, -low) : 0;
      out.gate[t] = sign !== 0 && kept === raw ? 1 : 0;
      if (mask[t] === 0) continue;
      logRatio += kept;
      advantage += advantages[t]!;
      length++;
    }
    const loss = length === 0 ? 0 : (-advantage / length) * Math.exp(logRatio / length);
    for (let t = from; t < to; t++) {
      out.loss[t] = loss;
      out.gate[t]! *= loss;
    }
  }
}
