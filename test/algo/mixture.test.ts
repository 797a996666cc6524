import { describe, expect, it } from "vitest";
import { lossAndGate } from "../../core/algo/arrays.js";
import {
  componentValueLoss,
  frequencyLoss,
  mixtureLogprob,
  responsibilities,
} from "../../core/algo/mixture.js";
import { Random } from "../../core/random.js";
import { PRINTED, expectClose, f, normals } from "./fixture.js";

/** The catalogue's: gate logits .2 and −.1, means 0 and 1, standard deviations .5 and 1; the action .4. */
const TWO = f(0.2, -0.1, 0, 1, Math.log(0.5), 0);
const AT = { policy: TWO, policyOffset: 0, components: 2, actions: f(0.4), actionOffset: 0, actionWidth: 1 };

describe("a mixture of Gaussians", () => {
  it("gives an action the catalogue's log-probability", () => {
    const joint = new Float64Array(2);
    expectClose([mixtureLogprob(AT, joint)], [-0.745223], PRINTED);
    expectClose(joint, [Math.log(0.574443) - 0.545791, Math.log(0.425557) - 1.098939], 3 * PRINTED);
  });

  it("has a density that integrates to 1", () => {
    const joint = new Float64Array(2);
    let mass = 0;
    for (let x = -9.995; x < 10; x += 0.01) {
      mass += 0.01 * Math.exp(mixtureLogprob({ ...AT, actions: f(x) }, joint));
    }
    expect(mass).toBeCloseTo(1, 8);
  });

  it("says how likely each component is to have drawn an action, by Bayes' rule, step by step", () => {
    const shares = responsibilities(f(...TWO, ...TWO), f(0.4, -30), 2);
    const densities = [0.574443 * Math.exp(-0.545791), 0.425557 * Math.exp(-1.098939)];
    const total = densities[0]! + densities[1]!;
    expectClose(
      shares.subarray(0, 2),
      densities.map((d) => d / total),
      2 * PRINTED,
    );
    // So far out the wider component alone can have drawn it.
    expectClose(shares.subarray(2), [0, 1], 1e-12);
  });
});

describe("the frequency loss", () => {
  it("is the catalogue's, drawing the gate to the better component", () => {
    const out = lossAndGate(1, 6);
    frequencyLoss(TWO, f(1), 2, out);
    expectClose(out.loss, [0.329984], PRINTED);
    expect(out.gate[0]).toBeGreaterThan(0);
    expect(out.gate[1]).toBeLessThan(0);
    expectClose(out.gate.subarray(2), [0, 0, 0, 0], 0);
  });

  it("has the slope that central differences give", () => {
    const random = new Random(3);
    const [steps, components] = [3, 4];
    const policies = normals(random, steps * 12);
    const best = f(0, 3, 1);
    const out = lossAndGate(steps, 12);
    frequencyLoss(policies, best, components, out);
    const gate = out.gate.slice();
    policies.forEach((x, i) => {
      const at = (by: number): number => {
        const moved = policies.slice();
        moved[i] = x + by;
        frequencyLoss(moved, best, components, out);
        return out.loss[Math.floor(i / 12)]!;
      };
      expect((at(1e-5) - at(-1e-5)) / 2e-5).toBeCloseTo(gate[i]!, 8);
    });
  });
});

describe("the loss of component values", () => {
  it("is the catalogue's where either component may have acted, and leaves one that did not alone", () => {
    const out = lossAndGate(2, 2);
    componentValueLoss(f(0.7, 1.1, 0.7, 1.1), f(0.5, 0.5, 1, 0), f(1, 1), out);
    expectClose(out.loss, [0.05, 0.09], 1e-12);
    expectClose(out.gate, [-0.3, 0.1, -0.6, 0], 1e-12);
  });
});
