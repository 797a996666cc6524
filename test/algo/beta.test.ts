import { describe, expect, it } from "vitest";
import { betaDensity, logGamma } from "../../core/algo/beta.js";

describe("logGamma", () => {
  it("is the logarithm of factorials, and of Γ(½) = √π", () => {
    let factorial = 1;
    for (let n = 1; n <= 20; n++) {
      expect(logGamma(n) - Math.log(factorial)).toBeCloseTo(0, 11);
      factorial *= n;
    }
    expect(Math.exp(logGamma(0.5))).toBeCloseTo(Math.sqrt(Math.PI), 12);
  });
});

describe("betaDensity", () => {
  it.each([
    [1, 1],
    [2, 5],
    [1.8, 1.8],
    [3, 1],
  ])("of Beta(%d, %d) integrates to 1 and to its mean", (alpha, beta) => {
    const n = 20_000;
    let mass = 0;
    let mean = 0;
    for (let k = 0; k < n; k++) {
      const x = (k + 0.5) / n;
      mass += betaDensity(x, alpha, beta) / n;
      mean += (x * betaDensity(x, alpha, beta)) / n;
    }
    expect(mass).toBeCloseTo(1, 5);
    expect(mean).toBeCloseTo(alpha / (alpha + beta), 5);
  });
});
