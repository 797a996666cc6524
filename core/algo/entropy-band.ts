/** A band that entropy is kept in, by a pull of constant strength from outside. */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";

export interface EntropyBandInput {
  /** [N] H, live */
  readonly entropies: Float64Array;
  /** [N] lower edge; held constant */
  readonly low: Float64Array;
  /** [N] upper edge, at least the lower one; held constant */
  readonly high: Float64Array;
}

/** loss = (low − H)⁺ + (H − high)⁺; gate = −1 below the band, 1 above it, 0 in it and on its edges. */
export function entropyBand({ entropies, low, high }: EntropyBandInput, out: LossAndGate): void {
  const n = entropies.length;
  expectLength("entropyBand", "low", n, low.length);
  expectLength("entropyBand", "high", n, high.length);
  expectLength("entropyBand", "loss", n, out.loss.length);
  expectLength("entropyBand", "gate", n, out.gate.length);
  for (let t = 0; t < n; t++) {
    const below = low[t]! - entropies[t]!;
    const above = entropies[t]! - high[t]!;
    out.loss[t] = Math.max(below, above, 0);
    out.gate[t] = below > 0 ? -1 : above > 0 ? 1 : 0;
  }
}
