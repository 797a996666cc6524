import { describe, expect, it } from "vitest";
import { lossAndGate } from "../../core/algo/arrays.js";
import { entropyBand } from "../../core/algo/entropy-band.js";
import { negativeAware } from "../../core/algo/negative-aware.js";
import { addSoftSums, softMean, softSumOf } from "../../core/algo/soft-mean.js";
import { Random } from "../../core/random.js";
import { centralDifference, expectClose, expectNear, f, normals } from "./fixture.js";

describe("the likelihood of the implicit negative policy", () => {
  it("has the slope of its straight-through form, which central differences find with the held part fixed", () => {
    const random = new Random(101);
    const n = 200;
    const logRatios = normals(random, n, 0.5);
    const successes = Float64Array.from({ length: n }, () => random.integer(2));
    const successRates = Float64Array.from({ length: n }, () => random.between(0.05, 0.95));
    for (const leastRatio of [0.2, 1]) {
      const out = lossAndGate(n);
      negativeAware({ logRatios, successes, successRates }, { leastRatio }, out);
      for (let t = 0; t < n; t++) {
        const q = successRates[t]!;
        const negative = (x: number): number => (1 - q * Math.exp(x)) / (1 - q);
        const raw = negative(logRatios[t]!);
        const held = Math.max(raw, leastRatio) - raw;
        const phi = (x: number): number => (successes[t] === 1 ? -x : -Math.log(negative(x) + held));
        expectNear(out.loss[t]!, phi(logRatios[t]!), 1e-12);
        const slope = centralDifference(phi, logRatios[t]!);
        expectNear(out.gate[t]! / slope, 1, 1e-6);
      }
    }
  });

  it("holds a ratio that would overflow", () => {
    const out = lossAndGate(2);
    const input = { logRatios: f(800, 800), successes: f(1, 0), successRates: f(0.5, 0.5) };
    negativeAware(input, { leastRatio: 1 }, out);
    expectClose(out.loss, [-10, 0], 1e-12);
    expectClose(out.gate, [-1, Math.exp(10)], 1e-6);
  });
});

describe("the band of entropies", () => {
  it("pulls from outside with strength 1, and not inside or on the edge", () => {
    const out = lossAndGate(5);
    const entropies = f(0.4, 0.5, 0.8, 1, 1.3);
    entropyBand({ entropies, low: f(0.5, 0.5, 0.5, 0.5, 0.5), high: f(1, 1, 1, 1, 1) }, out);
    expectClose(out.loss, [0.1, 0, 0, 0, 0.3], 1e-12);
    expect([...out.gate]).toEqual([-1, 0, 0, 0, 1]);
  });

  it("is nowhere where its edges are infinite", () => {
    const out = lossAndGate(1);
    entropyBand({ entropies: f(3), low: f(-Infinity), high: f(Infinity) }, out);
    expect([out.loss[0], out.gate[0]]).toEqual([0, 0]);
  });
});

describe("the soft mean", () => {
  it("of numbers added one by one is that of all, in any order and to any size", () => {
    const random = new Random(102);
    const x = Array.from({ length: 30 }, () => random.normal());
    const of = (numbers: readonly number[], beta: number): number =>
      softMean(
        numbers.map((y) => softSumOf(y, beta)).reduce((a, b) => addSoftSums(a, b, beta)),
        beta,
      );
    for (const beta of [0.1, 0.5, 3]) {
      const slow = beta * Math.log(x.reduce((sum, y) => sum + Math.exp(y / beta), 0) / x.length);
      expectNear(of(x, beta), slow, 1e-12);
      expectNear(of([...x].reverse(), beta), slow, 1e-12);
      expectNear(
        of(
          x.map((y) => y + 5000),
          beta,
        ),
        slow + 5000,
        1e-9,
      );
    }
    expectNear(of(x, 0), x.reduce((sum, y) => sum + y, 0) / 30, 1e-12);
    // Between mean and maximum.
    expectNear(of(x, 1e6), of(x, 0), 1e-5);
    expectNear(of(x, 1e-3), Math.max(...x) - 1e-3 * Math.log(30), 1e-9);
  });
});
