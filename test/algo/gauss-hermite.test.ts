import { describe, expect, it } from "vitest";
import { gaussHermite } from "../../core/algo/gauss-hermite.js";

/** E ε^degree of a standard normal number: (degree − 1)·(degree − 3)·…·1, or 0 where it is odd. */
function moment(degree: number): number {
  if (degree % 2 === 1) return 0;
  let product = 1;
  for (let k = degree - 1; k > 1; k -= 2) product *= k;
  return product;
}

describe.each([1, 2, 5, 16])("Gauss–Hermite quadrature with %i nodes", (count) => {
  const { nodes, weights } = gaussHermite(count);

  it("has every moment up to degree 2n − 1 exactly, and not the next", () => {
    const sum = (degree: number): number => nodes.reduce((s, x, q) => s + weights[q]! * x ** degree, 0);
    for (let degree = 0; degree < 2 * count; degree++) {
      const scale = Math.max(1, moment(degree + (degree % 2)));
      expect(Math.abs(sum(degree) - moment(degree)) / scale, `degree ${degree}`).toBeLessThan(1e-12);
    }
    const next = moment(2 * count);
    expect(Math.abs(sum(2 * count) - next) / next).toBeGreaterThan(1e-10);
  });

  it("has n different nodes, symmetric about 0, with positive weights", () => {
    expect(new Set(nodes).size).toBe(count);
    nodes.forEach((x, q) => {
      expect(nodes[count - 1 - q]).toBeCloseTo(-x, 12);
      expect(weights[q]).toBeGreaterThan(0);
    });
  });
});
