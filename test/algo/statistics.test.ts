import { describe, expect, it } from "vitest";
import {
  explainedVariance,
  maskedMean,
  maskedVariance,
  standardize,
  whiten,
} from "../../core/algo/statistics.js";
import { Random } from "../../core/random.js";
import { PRINTED, expectClose, expectNear, f, normals } from "./fixture.js";

const ALL3 = Uint8Array.of(1, 1, 1);

describe("statistics over chosen steps", () => {
  it("standardises P3's advantages to the catalogue's numbers", () => {
    // P3's Â to all digits: δ_t = r_t + .99·V_{t+1} − V_t, chained with γλ = .9405.
    const last = 2 + 0.99 * 0.2 - 0.3;
    const middle = 0 + 0.99 * 0.3 - 0.4 + 0.9405 * last;
    const first = 1 + 0.99 * 0.4 - 0.5 + 0.9405 * middle;
    expectClose(standardize(f(first, middle, last), ALL3), [1.114268, -0.81944, -0.294828], PRINTED);
  });

  it("whitens REINFORCE++'s returns of F to the catalogue's numbers", () => {
    const returns = f(1.0006, 1.0008, 1.0005, -0.001, -0.001, 0.0008, 0.0004, 0.001, 0.0002, 1.001);
    expectClose(
      whiten(returns, new Uint8Array(10).fill(1)),
      [1.161652, 1.162039, 1.161459, -0.77666, -0.77666, -0.773177, -0.773951, -0.77279, -0.774338, 1.162426],
      PRINTED,
    );
    // REINFORCE++-baseline: r − mean_q = ±.5 per token; n = 10, mean −.1, Σd² = 4·.36 + 6·.16 = 2.4, var 2.4/9.
    const centred = f(0.5, 0.5, 0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, 0.5);
    const white = whiten(centred, new Uint8Array(10).fill(1));
    expectNear(white[0]!, 1.161895);
    expectNear(white[3]!, -0.774597);
  });

  it("agrees with the pairwise form of the variance, Σ_{i<j}(x_i − x_j)²/(n(n−1))", () => {
    const random = new Random(11);
    for (let draw = 0; draw < 20; draw++) {
      const x = normals(random, 3 + random.integer(20), 2, 5);
      const mask = Uint8Array.from(x, (_, i) => (i < 2 || random.uniform() < 0.6 ? 1 : 0));
      const chosen = Array.from(x).filter((_, i) => mask[i] === 1);
      let pairs = 0;
      for (const a of chosen) for (const b of chosen) pairs += (a - b) ** 2 / 2;
      const variance = pairs / (chosen.length * (chosen.length - 1));
      expectNear(maskedVariance(x, mask), variance, 1e-10);
      expectNear(maskedMean(x, mask), chosen.reduce((s, v) => s + v, 0) / chosen.length, 1e-12);
    }
  });

  it("places epsilon inside the root for whiten and outside for standardize", () => {
    // x = ±h: mean 0, var_u = 2h². With h = 1e-4: whiten = h/√(2e-8 + 1e-8), standardize = h/(√2·1e-4 + 1e-8).
    const x = f(1e-4, -1e-4);
    const mask = Uint8Array.of(1, 1);
    expectNear(whiten(x, mask)[0]!, 1 / Math.sqrt(3), 1e-12);
    expectNear(standardize(x, mask)[0]!, 1 / (Math.SQRT2 + 1e-4), 1e-12);
  });

  it("is not moved by a masked step, whatever that step holds", () => {
    const mask = Uint8Array.of(1, 0, 1, 1);
    for (const poison of [1e9, NaN, Infinity]) {
      const x = f(2.477986, poison, 1.682069, 1.898);
      const clean = standardize(f(2.477986, 1.682069, 1.898), ALL3);
      expect(Array.from(standardize(x, mask))).toEqual([clean[0], 0, clean[1], clean[2]]);
      expect(Number.isFinite(whiten(x, mask)[0]!)).toBe(true);
    }
  });

  it("gives a lone step, and an empty mask, zero instead of dividing by nothing", () => {
    expect(Array.from(whiten(f(7, 3), Uint8Array.of(1, 0)))).toEqual([0, 0]);
    expect(Array.from(standardize(f(7, 3), Uint8Array.of(1, 0)))).toEqual([0, 0]);
    expect(maskedMean(f(7, 3), Uint8Array.of(0, 0))).toBe(0);
    expect(maskedVariance(f(7, 3), Uint8Array.of(0, 0))).toBe(0);
  });

  it("writes into the array given, which may be the input", () => {
    const x = f(1, 2, 4);
    const fresh = whiten(x, ALL3);
    expect(whiten(x, ALL3, x)).toBe(x);
    expect(Array.from(x)).toEqual(Array.from(fresh));
  });

  it("explains everything with perfect values, nothing with a constant, and says NaN where nothing varies", () => {
    const returns = f(1, 2, 4);
    expect(explainedVariance(returns, returns, ALL3)).toBe(1);
    expectNear(explainedVariance(f(9, 9, 9), returns, ALL3), 0, 1e-12);
    // values = returns + (0, 0, 1): Var_u(residual) = 1/3, Var_u(returns) = 7/3, so 1 − 1/7.
    expectNear(explainedVariance(f(1, 2, 5), returns, ALL3), 6 / 7, 1e-12);
    expect(explainedVariance(f(1, 2, 3), f(5, 5, 5), ALL3)).toBeNaN();
    expect(explainedVariance(f(1, 2, 99, 4), f(1, 2, 3, 4), Uint8Array.of(1, 1, 0, 1))).toBe(1);
  });

  it("refuses arrays of another length by name", () => {
    expect(() => whiten(f(1, 2), ALL3)).toThrow("whiten: expected mask [2], got [3]");
    expect(() => explainedVariance(f(1, 2), f(1), ALL3)).toThrow("explainedVariance: expected returns [2]");
  });
});
