/**
 * Means, variances and the two normalisations of advantages in use, over the steps chosen by the policy. Counts are
 * exact: where verl divides by Σm + 1e-8 to survive an empty mask, an empty mask is a case of its own here.
 */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";

/** Σ m·x / Σ m; 0 where the mask is empty. x, mask [N]. */
export function maskedMean(x: Float64Array, mask: Uint8Array): number {
  expectLength("maskedMean", "mask", x.length, mask.length);
  let sum = 0;
  let count = 0;
  for (let t = 0; t < x.length; t++) {
    if (mask[t] === 0) continue;
    sum += x[t]!;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

/**
 * Σ m·(x − mean)² / (Σm − 1): Bessel-corrected, the square of std_u; [N] → number.
 * Fewer than two chosen steps have no spread: 0, so that normalising a lone step gives 0.
 */
export function maskedVariance(x: Float64Array, mask: Uint8Array): number {
  const mean = maskedMean(x, mask);
  let sum = 0;
  let count = 0;
  for (let t = 0; t < x.length; t++) {
    if (mask[t] === 0) continue;
    const d = x[t]! - mean;
    sum += d * d;
    count++;
  }
  return count < 2 ? 0 : sum / (count - 1);
}

/** The mean of x at each of `steps`; 0 where there are none. x [N] */
export function meanAt(x: Float64Array, steps: Uint32Array): number {
  return steps.length === 0 ? 0 : steps.reduce((sum, t) => sum + x[t]!, 0) / steps.length;
}

/** Mean over each row's chosen steps, [R]; 0 where it has none. x, mask [N], offsets [R+1]. */
export function rowMeans(x: Float64Array, mask: Uint8Array, offsets: Uint32Array): Float64Array {
  expectLength("rowMeans", "mask", x.length, mask.length);
  expectOffsets("rowMeans", offsets, x.length);
  return Float64Array.from({ length: offsets.length - 1 }, (_, i) =>
    maskedMean(x.subarray(offsets[i], offsets[i + 1]), mask.subarray(offsets[i], offsets[i + 1])),
  );
}

/** (x_t − mean x)·(y_t − mean y), each step's part of their covariance; [N], [N] → [N], masked steps get 0. */
export function centredProducts(x: Float64Array, y: Float64Array, mask: Uint8Array): Float64Array {
  expectLength("centredProducts", "y", x.length, y.length);
  const meanX = maskedMean(x, mask);
  const meanY = maskedMean(y, mask);
  return x.map((value, t) => (mask[t] === 0 ? 0 : (value - meanX) * (y[t]! - meanY)));
}

/**
 * (x − mean)·(var + 1e-8)^(−1/2), epsilon inside the root (verl `masked_whiten`). x, mask [N] → [N];
 * masked steps get 0. Detached. `out` may be x itself.
 */
export function whiten(
  x: Float64Array,
  mask: Uint8Array,
  out: Float64Array = new Float64Array(x.length),
): Float64Array {
  expectLength("whiten", "mask", x.length, mask.length);
  return affine("whiten", x, mask, 1 / Math.sqrt(maskedVariance(x, mask) + 1e-8), out);
}

/**
 * (x − mean)·(var + 1e-6)^(−1/2) with the population variance Σ m·(x − mean)² / Σm, epsilon inside the root (MOSS-RLHF).
 * x, mask [N] → [N]; masked steps get 0. Detached.
 */
export function whitenPopulation(x: Float64Array, mask: Uint8Array): Float64Array {
  const count = mask.reduce((sum, m) => sum + m, 0);
  const variance = count === 0 ? 0 : (maskedVariance(x, mask) * (count - 1)) / count;
  return affine("whitenPopulation", x, mask, 1 / Math.sqrt(variance + 1e-6), new Float64Array(x.length));
}

/**
 * (x − mean) / (std_u + 1e-8), epsilon outside the root (cleanrl `norm_adv`, per minibatch). x, mask [N] → [N];
 * masked steps get 0. Detached. `out` may be x itself.
 */
export function standardize(
  x: Float64Array,
  mask: Uint8Array,
  out: Float64Array = new Float64Array(x.length),
): Float64Array {
  expectLength("standardize", "mask", x.length, mask.length);
  return affine("standardize", x, mask, 1 / (Math.sqrt(maskedVariance(x, mask)) + 1e-8), out);
}

function affine(
  where: string,
  x: Float64Array,
  mask: Uint8Array,
  scale: number,
  out: Float64Array,
): Float64Array {
  expectLength(where, "out", x.length, out.length);
  const mean = maskedMean(x, mask);
  for (let t = 0; t < x.length; t++) out[t] = mask[t] === 0 ? 0 : (x[t]! - mean) * scale;
  return out;
}

/**
 * 1 − Var(returns − values) / Var(returns) over chosen steps: 1 = the critic explains everything, 0 = no better
 * than a constant, negative = worse. NaN where the returns do not vary. values, returns, mask [N].
 */
export function explainedVariance(values: Float64Array, returns: Float64Array, mask: Uint8Array): number {
  expectLength("explainedVariance", "returns", values.length, returns.length);
  expectLength("explainedVariance", "mask", values.length, mask.length);
  const spread = maskedVariance(returns, mask);
  if (spread === 0) return NaN;
  const residuals = new Float64Array(values.length);
  for (let t = 0; t < values.length; t++) residuals[t] = returns[t]! - values[t]!;
  return 1 - maskedVariance(residuals, mask) / spread;
}
