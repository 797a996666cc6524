import { describe, expect, it } from "vitest";
import { lossAndGate } from "../../core/algo/arrays.js";
import { categoricalKl, gaussianKl, type PolicyKl } from "../../core/algo/policy-kl.js";
import { Random } from "../../core/random.js";
import { expectClose, f, normals } from "./fixture.js";

function klOf(kl: PolicyKl, oldPolicies: Float64Array, policies: Float64Array, steps: number) {
  const out = lossAndGate(steps, policies.length / steps);
  kl({ policies, oldPolicies }, out);
  return out;
}

/** ∫ p_old·log(p_old/p) of two normal densities, by the midpoint rule over ±10 standard deviations. */
function integralKl([m, s]: readonly number[], [n, t]: readonly number[]): number {
  const [old, live] = [Math.exp(s!), Math.exp(t!)];
  const log = (x: number, mean: number, std: number): number =>
    -0.5 * ((x - mean) / std) ** 2 - Math.log(std * Math.sqrt(2 * Math.PI));
  const cells = 20_000;
  const width = (20 * old) / cells;
  let sum = 0;
  for (let k = 0; k < cells; k++) {
    const x = m! - 10 * old + (k + 0.5) * width;
    sum += Math.exp(log(x, m!, old)) * (log(x, m!, old) - log(x, n!, live)) * width;
  }
  return sum;
}

describe("the exact KL of two categoricals", () => {
  it("is the catalogue's number, whatever is added to the logits", () => {
    const old = f(0.5, 0.3, 0.2).map(Math.log);
    const live = f(0.6, 0.25, 0.15).map((p) => Math.log(p) + 7);
    expectClose(klOf(categoricalKl, old, live, 1).loss, [0.021072], 1e-6);
  });

  it("does not count actions that both forbid", () => {
    const forbidden = -1e9;
    const { loss, gate } = klOf(categoricalKl, f(0, forbidden, 1), f(1, forbidden, 0), 1);
    const p = 1 / (1 + Math.E);
    expectClose(loss, [(1 - p) * 1 - p * 1], 1e-12);
    expect(gate[1]).toBe(0);
  });
});

describe("the exact KL of two diagonal Gaussians", () => {
  it("is the integral that defines it, summed over numbers", () => {
    const old = f(0.3, -1, 0.2, -0.5);
    const live = f(-0.4, 0.5, 0.1, 0.3);
    const expected = integralKl([0.3, 0.2], [-0.4, 0.1]) + integralKl([-1, -0.5], [0.5, 0.3]);
    expectClose(klOf(gaussianKl, old, live, 1).loss, [expected], 1e-6);
  });
});

describe.each([
  ["categorical", categoricalKl, 5],
  ["Gaussian", gaussianKl, 6],
] as const)("the %s KL", (_name, kl, width) => {
  const random = new Random(2);
  const steps = 4;
  const old = normals(random, steps * width);
  const live = normals(random, steps * width);

  it("is 0 with slope 0 where both are the same, and positive elsewhere", () => {
    const same = klOf(kl, old, old, steps);
    expectClose(same.loss, new Float64Array(steps), 1e-12);
    expectClose(same.gate, new Float64Array(steps * width), 1e-12);
    for (const x of klOf(kl, old, live, steps).loss) expect(x).toBeGreaterThan(0);
  });

  it("has the slope that central differences give", () => {
    const { gate } = klOf(kl, old, live, steps);
    const h = 1e-5;
    for (let i = 0; i < live.length; i++) {
      const at = (by: number): number => {
        const moved = live.slice();
        moved[i]! += by;
        return klOf(kl, old, moved, steps).loss[Math.floor(i / width)]!;
      };
      expect(Math.abs((at(h) - at(-h)) / (2 * h) - gate[i]!)).toBeLessThan(1e-8);
    }
  });

  it("refuses parameters of another number, naming them", () => {
    const out = lossAndGate(steps, width);
    expect(() => kl({ policies: live, oldPolicies: f(1) }, out)).toThrow(/expected oldPolicies/);
  });
});
