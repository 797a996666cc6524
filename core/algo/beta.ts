/** The Beta distribution. */

/** Lanczos coefficients for g = 7, n = 9 (Godfrey 2001): relative error below 1e-14 for x > 0. */
const LANCZOS: readonly number[] = [
  ...[0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313],
  ...[-176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6],
  1.5056327351493116e-7,
];

/** log Γ(x), x > 0. */
export function logGamma(x: number): number {
  const z = x - 1;
  const sum = LANCZOS.reduce((total, c, k) => (k === 0 ? c : total + c / (z + k)), 0);
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Density at x in [0, 1] of Beta(α, β), α, β > 0. */
export function betaDensity(x: number, alpha: number, beta: number): number {
  const normalizer = logGamma(alpha + beta) - logGamma(alpha) - logGamma(beta);
  return Math.exp(normalizer) * x ** (alpha - 1) * (1 - x) ** (beta - 1);
}
