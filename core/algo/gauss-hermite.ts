/** Expectations under a standard normal number as short sums. */

/** Nodes x_q and weights w_q with Σ w_q = 1. */
export interface Quadrature {
  readonly nodes: Float64Array;
  readonly weights: Float64Array;
}

/**
 * Gauss–Hermite quadrature in the probabilists' form: E f(ε) ≈ Σ_q w_q·f(x_q) for ε ~ N(0, 1), exact for polynomials up
 * to degree 2·count − 1. The nodes are the roots of He_n, found between those of He_{n−1} by bisection (roots
 * interlace); w_q = (n−1)! / (n·He_{n−1}(x_q)²) in the normalised recurrence h_{j+1} = (x·h_j − √j·h_{j−1})/√(j+1),
 * where it reads 1/(n·h_{n−1}²).
 */
export function gaussHermite(count: number): Quadrature {
  const hermite = (degree: number, x: number): number => {
    let [before, value] = [0, 1];
    for (let j = 0; j < degree; j++) {
      [before, value] = [value, (x * value - Math.sqrt(j) * before) / Math.sqrt(j + 1)];
    }
    return value;
  };
  // All roots of He_n lie within ±√(4n + 2).
  const bound = Math.sqrt(4 * count + 2);
  let roots: number[] = [];
  for (let degree = 1; degree <= count; degree++) {
    const edges = [-bound, ...roots, bound];
    roots = Array.from({ length: degree }, (_, k) =>
      bisect((x) => hermite(degree, x), edges[k]!, edges[k + 1]!),
    );
  }
  return {
    nodes: Float64Array.from(roots),
    weights: Float64Array.from(roots, (x) => 1 / (count * hermite(count - 1, x) ** 2)),
  };
}

/** The root of f in [low, high], where f changes its sign, to the last bit. */
function bisect(f: (x: number) => number, low: number, high: number): number {
  const rising = f(high) > 0;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (f(middle) > 0 === rising) high = middle;
    else low = middle;
  }
}
