/** The likelihood of an implicit negative policy (NFT): what is left of the old policy once its successes are taken away. */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";

export interface NegativeAwareInput {
  /** [N] Δ = ℓ − ℓ^o */
  readonly logRatios: Float64Array;
  /** [N] 1 = the row succeeded, else 0 */
  readonly successes: Float64Array;
  /** [N] q, success rate of the row's group, inside (0, 1); held constant */
  readonly successRates: Float64Array;
}

/** R = exp(Δ) is held to at most exp of this. */
const LOG_RATIO_MAX = 10;

/**
 * Where the row succeeded loss = −Δ, gate = −1; elsewhere, with π_neg/π_old = (1 − q·R)/(1 − q) and c its least value,
 *
 *   loss = −log max((1 − q·R)/(1 − q), c), gate = q·R/((1 − q)·max((1 − q·R)/(1 − q), c))
 *
 * The maximum is straight-through: its value is held at c, its derivative is not (Chen et al. 2025, "Bridging supervised learning and
 * reinforcement learning in math reasoning"; plain differentiation would give 0 there).
 */
export function negativeAware(
  { logRatios, successes, successRates }: NegativeAwareInput,
  { leastRatio }: { readonly leastRatio: number },
  out: LossAndGate,
): void {
  const n = logRatios.length;
  expectLength("negativeAware", "successes", n, successes.length);
  expectLength("negativeAware", "successRates", n, successRates.length);
  expectLength("negativeAware", "loss", n, out.loss.length);
  expectLength("negativeAware", "gate", n, out.gate.length);
  for (let t = 0; t < n; t++) {
    const logRatio = Math.min(logRatios[t]!, LOG_RATIO_MAX);
    if (successes[t] === 1) {
      out.loss[t] = -logRatio;
      out.gate[t] = -1;
      continue;
    }
    const rate = successRates[t]!;
    const ratio = Math.exp(logRatio);
    const negative = Math.max((1 - rate * ratio) / (1 - rate), leastRatio);
    out.loss[t] = -Math.log(negative);
    out.gate[t] = (rate * ratio) / ((1 - rate) * negative);
  }
}
