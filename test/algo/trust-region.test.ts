import { describe, expect, it } from "vitest";
import {
  addScaled,
  conjugateGradient,
  differenceProduct,
  dot,
  lineSearch,
  naturalStep,
} from "../../core/algo/trust-region.js";
import { Random } from "../../core/random.js";
import { PRINTED, expectClose, f, normals } from "./fixture.js";

const softmax = (logits: Float64Array): Float64Array => {
  const total = logits.reduce((sum, l) => sum + Math.exp(l), 0);
  return logits.map((l) => Math.exp(l) / total);
};

/** The catalogue's case: one state, three logits at 0, four actions with their advantages. */
const ACTIONS = [0, 1, 2, 0];
const ADVANTAGES = [1, -0.5, 0.2, 0.3];
const START = f(0, 0, 0);
const REGION = { maxKl: 0.01, damping: 0.1, iterations: 10 };
const GRADIENT = f(-0.241667, 0.208333, 0.033333);

const lossAt = (logits: Float64Array): number => {
  const [live, old] = [softmax(logits), softmax(START)];
  return -ACTIONS.reduce((sum, a, i) => sum + (live[a]! / old[a]!) * ADVANTAGES[i]!, 0) / ACTIONS.length;
};
const klAt = (logits: Float64Array): number => {
  const [live, old] = [softmax(logits), softmax(START)];
  return old.reduce((sum, p, a) => sum + p * Math.log(p / live[a]!), 0);
};
/** The Fisher matrix of a softmax, diag(p) − p·pᵀ, times v. */
const fisher =
  (p: Float64Array) =>
  (v: Float64Array): Float64Array =>
    p.map((x, i) => x * (v[i]! - dot(p, v)));

describe("a trust-region step", () => {
  it("has the catalogue's direction, length and outcome", async () => {
    const product = fisher(softmax(START));
    const damped = (v: Float64Array): Float64Array => addScaled(product(v), 0.1, v);
    const x = await conjugateGradient(damped, GRADIENT, 10);
    expectClose(x, [-0.557692, 0.480769, 0.076923], 2 * PRINTED);
    const step = await naturalStep(product, GRADIENT, REGION);
    expectClose([-step[0]! / x[0]!], [0.290191], 2 * PRINTED);
    const judge = (logits: Float64Array) => ({ loss: lossAt(logits), kl: klAt(logits) });
    const limits = { startLoss: lossAt(START), maxKl: 0.01, backtracks: 10, decay: 0.8 };
    const end = await lineSearch(START, step, judge, limits);
    expect(end!.backtracks).toBe(0);
    expectClose(end!.weights, [0.161837, -0.139515, -0.022322], 2 * PRINTED);
    expectClose([limits.startLoss, end!.found.loss, end!.found.kl], [-0.25, -0.319775, 0.007761], PRINTED);
  });

  it("has as length what the quadratic model of the KL allows", async () => {
    const random = new Random(1);
    const product = fisher(softmax(normals(random, 5)));
    const step = await naturalStep(product, normals(random, 5), { ...REGION, damping: 0.5, maxKl: 0.02 });
    const curved = addScaled(product(step), 0.5, step);
    expect(0.5 * dot(step, curved)).toBeCloseTo(0.02, 6);
  });
});

describe("conjugate gradients", () => {
  it("solve H·x = g for a matrix of full rank in as many iterations as it has rows", async () => {
    const random = new Random(2);
    const n = 6;
    const a = Array.from({ length: n }, () => normals(random, n));
    // aᵀa + 1 is positive definite.
    const product = (v: Float64Array): Float64Array => {
      const av = a.map((row) => dot(row, v));
      return v.map((x, i) => x + a.reduce((sum, row, k) => sum + row[i]! * av[k]!, 0));
    };
    const g = normals(random, n);
    const exact = await conjugateGradient(product, g, n);
    expectClose(product(exact), g, 1e-5);
    // Going on after that divides by nothing.
    expectClose(await conjugateGradient(product, g, 50), exact, 1e-5);
  });

  it("leave a gradient of zero at zero", async () => {
    expectClose(await conjugateGradient((v) => v, f(0, 0), 10), [0, 0], 0);
  });
});

describe("a product from differences of gradients", () => {
  it("is the Fisher matrix's of a softmax, also of gradients in float32", async () => {
    const random = new Random(3);
    const logits = normals(random, 6);
    const old = softmax(logits);
    // ∇ of KL(old ‖ softmax(l)) is softmax(l) − old.
    const gradientAt = (l: Float64Array): Float64Array =>
      softmax(l).map((p, a) => Math.fround(p) - Math.fround(old[a]!));
    const product = differenceProduct(gradientAt, logits, 1e-3);
    for (let draw = 0; draw < 5; draw++) {
      const v = normals(random, 6);
      const expected = fisher(old)(v);
      const error = addScaled(await product(v), -1, expected);
      expect(Math.sqrt(dot(error, error) / dot(expected, expected))).toBeLessThan(1e-3);
    }
    expectClose(await product(new Float64Array(6)), new Float64Array(6), 0);
  });
});

describe("a line search", () => {
  const limits = { startLoss: 0, maxKl: 1, backtracks: 10, decay: 0.5 };

  it("stops at the first place that is near enough and no worse", async () => {
    const tried: number[] = [];
    const judge = ([x]: Float64Array) => {
      tried.push(x!);
      return { kl: x!, loss: x! <= 0.5 ? -1 : 1 };
    };
    const end = await lineSearch(f(0), f(4), judge, limits);
    // 4 and 2 are too far, 1 is near enough and worse.
    expect(tried).toEqual([4, 2, 1, 0.5]);
    expect(end).toMatchObject({ backtracks: 3, found: { kl: 0.5, loss: -1 } });
  });

  it("finds nothing where every place is worse, too far or not a number", async () => {
    for (const judged of [
      { kl: 0, loss: 1 },
      { kl: 2, loss: -1 },
      { kl: NaN, loss: -1 },
      { kl: 0, loss: NaN },
    ]) {
      expect(await lineSearch(f(0), f(1), () => judged, limits)).toBeNull();
    }
  });
});
