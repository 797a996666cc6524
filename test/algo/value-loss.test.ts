import { describe, expect, it } from "vitest";
import { clippedValueLoss, squaredValueLoss } from "../../core/algo/value-loss.js";
import { Random } from "../../core/random.js";
import { centralDifference, evaluate, expectClose, expectNear, f, normals } from "./fixture.js";

const P7 = { values: f(0.7, 0.1), oldValues: f(0.4, 0.3), valueTargets: f(1, 0) };

const REFERENCES = [
  ["squaredValueLoss", squaredValueLoss(), (v: number, _old: number, r: number) => 0.5 * (v - r) ** 2],
  [
    "clippedValueLoss",
    clippedValueLoss({ epsilon: 0.2 }),
    (v: number, old: number, r: number) => {
      const clipped = Math.min(Math.max(v, old - 0.2), old + 0.2);
      return 0.5 * Math.max((v - r) ** 2, (clipped - r) ** 2);
    },
  ],
] as const;

describe("value losses", () => {
  it("give P7's numbers: mean .0425 clipped, .0250 unclipped", () => {
    // Step 1: (.7−1)² = .09, clip to .6: .16. Step 2: .1 is inside [.1, .5]: .01. ½·(.16 + .01)/2 = .0425.
    const clipped = evaluate(clippedValueLoss({ epsilon: 0.2 }), P7, 2);
    expectNear((clipped.loss[0]! + clipped.loss[1]!) / 2, 0.0425, 1e-12);
    const plain = evaluate(squaredValueLoss(), P7, 2);
    expectNear((plain.loss[0]! + plain.loss[1]!) / 2, 0.025, 1e-12);
    expectClose(plain.gate, [-0.3, 0.1], 1e-12);
  });

  it.each(REFERENCES)(
    "%s has the loss of its formula and the slope central differences find",
    (_n, term, phi) => {
      const random = new Random(61);
      const n = 200;
      const values = normals(random, n);
      const oldValues = normals(random, n, 0.3).map((d, t) => values[t]! + d);
      const valueTargets = normals(random, n);
      const { loss, gate } = evaluate(term, { values, oldValues, valueTargets }, n);
      let compared = 0;
      for (let t = 0; t < n; t++) {
        const at = (v: number): number => phi(v, oldValues[t]!, valueTargets[t]!);
        expectNear(loss[t]!, at(values[t]!), 1e-12);
        // Kinks: v at the window's edge, and beyond it where the two branches cross.
        const edge = Math.abs(Math.abs(values[t]! - oldValues[t]!) - 0.2);
        const middle = Math.abs(
          values[t]! +
            Math.min(Math.max(values[t]!, oldValues[t]! - 0.2), oldValues[t]! + 0.2) -
            2 * valueTargets[t]!,
        );
        if (edge < 1e-3 || middle < 1e-3) continue;
        expectNear(gate[t]!, centralDifference(at, values[t]!), 1e-8);
        compared++;
      }
      expect(compared).toBeGreaterThan(180);
    },
  );

  it("close the gate where the clip binds and nowhere else", () => {
    const input = { values: f(1.5, 1.5, 1.1), oldValues: f(1, 1, 1), valueTargets: f(2, 0, 2) };
    const { gate } = evaluate(clippedValueLoss({ epsilon: 0.2 }), input, 3);
    // Step 1 already moved .5 towards R: no more. Step 2 moved away from R: pulled back. Step 3 is inside the window.
    expectClose(gate, [0, 1.5, -0.9], 1e-12);
  });

  it("refuse arrays of another length by name", () => {
    expect(() => evaluate(squaredValueLoss(), { ...P7, valueTargets: f(1) }, 2)).toThrow(
      "squaredValueLoss: expected valueTargets [2], got [1]",
    );
  });
});
