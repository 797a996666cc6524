/**
 * The parts of a trust-region step (Schulman et al. 2015, TRPO, appendix C): conjugate gradients, the natural gradient's
 * length, and the line search. Vectors are [P], of all weights; what a network has to compute comes in as a function.
 */
import { expectLength } from "../errors.js";

type Computed<T> = T | Promise<T>;

/** v [P] → H·v [P], H symmetric and positive semi-definite. */
export type Product = (v: Float64Array) => Computed<Float64Array>;

/** Σ a·b; both [P]. */
export function dot(a: Float64Array, b: Float64Array): number {
  expectLength("dot", "b", a.length, b.length);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** a + scale·b, [P] */
export function addScaled(a: Float64Array, scale: number, b: Float64Array): Float64Array {
  expectLength("addScaled", "b", a.length, b.length);
  return a.map((x, i) => x + scale * b[i]!);
}

/** Guards the two quotients against a direction without curvature. */
const CURVATURE_EPSILON = 1e-8;
/** Residuals this small beside g, squared, are rounding: another iteration would divide by them. */
const SOLVED = 1e-20;

/**
 * H·v at weights θ from gradients alone, by central differences along v:
 *
 *   H·v ≈ (∇D(θ + εv) − ∇D(θ − εv)) / 2ε,   ε·‖v‖ = relativeStep·(1 + ‖θ‖)
 *
 * Exact up to O(ε²); in float32 a relative step of 1e-3 leaves rounding and curvature both near 1e-3 of the result.
 */
export function differenceProduct(
  gradientAt: (weights: Float64Array) => Computed<Float64Array>,
  weights: Float64Array,
  relativeStep: number,
): Product {
  const reach = relativeStep * (1 + Math.sqrt(dot(weights, weights)));
  return async (v) => {
    const length = Math.sqrt(dot(v, v));
    if (length === 0) return new Float64Array(v.length);
    const epsilon = reach / length;
    const above = await gradientAt(addScaled(weights, epsilon, v));
    const below = await gradientAt(addScaled(weights, -epsilon, v));
    return above.map((x, i) => (x - below[i]!) / (2 * epsilon));
  };
}

/** x [P] with H·x ≈ g after at most `iterations` steps of the method of conjugate gradients from x = 0. */
export async function conjugateGradient(
  product: Product,
  g: Float64Array,
  iterations: number,
): Promise<Float64Array> {
  let x: Float64Array = new Float64Array(g.length);
  let residual: Float64Array = g;
  let direction: Float64Array = g;
  let squares = dot(g, g);
  const solved = SOLVED * squares;
  for (let k = 0; k < iterations && squares > solved; k++) {
    const curved = await product(direction);
    const step = squares / (dot(direction, curved) + CURVATURE_EPSILON);
    x = addScaled(x, step, direction);
    residual = addScaled(residual, -step, curved);
    const next = dot(residual, residual);
    direction = addScaled(residual, next / squares, direction);
    squares = next;
  }
  return x;
}

/**
 * The step −α·x down the natural gradient, x ≈ (H + ηI)⁻¹g, as long as the quadratic model of the KL allows:
 * α = √(2δ / (xᵀ(H + ηI)x + 1e-8)). g [P] → [P]
 */
export async function naturalStep(
  product: Product,
  g: Float64Array,
  parameters: { readonly maxKl: number; readonly damping: number; readonly iterations: number },
): Promise<Float64Array> {
  const { maxKl, damping, iterations } = parameters;
  const damped: Product = async (v) => addScaled(await product(v), damping, v);
  const x = await conjugateGradient(damped, g, iterations);
  const curvature = dot(x, await damped(x));
  const alpha = Math.sqrt((2 * maxKl) / (Math.max(0, curvature) + CURVATURE_EPSILON));
  return x.map((component) => -alpha * component);
}

/** What a place is judged by. */
export interface Judged {
  readonly loss: number;
  /** nats */
  readonly kl: number;
}

/**
 * The first of θ + decay^j·step, j = 0 … backtracks − 1, with KL ≤ maxKl and a loss no higher than at θ; null = there is
 * none.
 */
export async function lineSearch<J extends Judged>(
  weights: Float64Array,
  step: Float64Array,
  judge: (weights: Float64Array) => Computed<J>,
  parameters: {
    readonly startLoss: number;
    readonly maxKl: number;
    readonly backtracks: number;
    readonly decay: number;
  },
): Promise<{ readonly weights: Float64Array; readonly found: J; readonly backtracks: number } | null> {
  const { startLoss, maxKl, backtracks, decay } = parameters;
  for (let j = 0; j < backtracks; j++) {
    const place = addScaled(weights, decay ** j, step);
    const found = await judge(place);
    if (found.kl <= maxKl && found.loss <= startLoss) return { weights: place, found, backtracks: j };
  }
  return null;
}
