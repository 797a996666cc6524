import { describe, expect, it } from "vitest";
import {
  argmax,
  categoricalLogprob,
  logSoftmax,
  logSumExp,
  sampleCategorical,
} from "../../core/algo/categorical.js";
import {
  categoricalEntropy,
  entropyBonus,
  entropyOfProbabilities,
  gaussianEntropy,
} from "../../core/algo/entropy.js";
import { gaussianLogprob, sampleGaussian } from "../../core/algo/gaussian.js";
import { Random } from "../../core/random.js";
import { evaluate, expectClose, expectNear, f, normals } from "./fixture.js";

/** p_a = e^{l_a}/Σe^l, unshifted: fine for small logits. */
function softmax(logits: ArrayLike<number>): number[] {
  const weights = Array.from(logits, Math.exp);
  const total = weights.reduce((s, w) => s + w, 0);
  return weights.map((w) => w / total);
}

describe("the categorical distribution", () => {
  it("has the log-probabilities and entropy of its definition, anywhere in a longer array", () => {
    const random = new Random(111);
    const logits = normals(random, 30, 2);
    const out = new Float64Array(30);
    for (let offset = 0; offset < 30; offset += 5) {
      const p = softmax(logits.subarray(offset, offset + 5));
      logSoftmax(logits, offset, 5, out, offset);
      expectClose(out.subarray(offset, offset + 5), p.map(Math.log), 1e-12);
      for (let a = 0; a < 5; a++) {
        expectNear(categoricalLogprob(logits, offset, 5, a), Math.log(p[a]!), 1e-12);
      }
      const entropy = -p.reduce((s, x) => s + x * Math.log(x), 0);
      expectNear(categoricalEntropy(logits, offset, 5), entropy, 1e-12);
      expectNear(entropyOfProbabilities(f(...p), 0, 5), entropy, 1e-12);
    }
  });

  it("is stable for huge logits and the same after a shift", () => {
    expectNear(logSumExp(f(1000, 1000), 0, 2), 1000 + Math.LN2, 1e-10);
    expectNear(categoricalLogprob(f(-1000, -1001), 0, 2, 0), -Math.log1p(Math.exp(-1)), 1e-10);
    const shifted = categoricalEntropy(f(1001, 1002, 1004), 0, 3);
    expectNear(shifted, categoricalEntropy(f(1, 2, 4), 0, 3), 1e-12);
  });

  it("has entropy log A when uniform and 0 when certain, in nats", () => {
    expectNear(categoricalEntropy(f(3, 3, 3, 3), 0, 4), Math.log(4), 1e-12);
    expect(categoricalEntropy(f(0, -Infinity), 0, 2)).toBe(0);
    expect(entropyOfProbabilities(f(1, 0), 0, 2)).toBe(0);
  });

  it("samples the action whose share of [0, 1) holds u", () => {
    // p = (.2, .5, .3): shares [0, .2), [.2, .7), [.7, 1).
    const logits = f(9, Math.log(0.2), Math.log(0.5), Math.log(0.3));
    const draws = [0, 0.19, 0.21, 0.69, 0.71, 0.999999].map((u) => sampleCategorical(logits, 1, 3, u));
    expect(draws).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it("samples each action as often as its probability says", () => {
    const random = new Random(112);
    const logits = f(0.3, -1, 1.2, 0);
    const p = softmax(logits);
    const counts = [0, 0, 0, 0];
    const n = 100_000;
    for (let i = 0; i < n; i++) counts[sampleCategorical(logits, 0, 4, random.uniform())]!++;
    // Five standard deviations of a binomial share.
    counts.forEach((c, a) => expectNear(c / n, p[a]!, 5 * Math.sqrt((p[a]! * (1 - p[a]!)) / n)));
  });

  it("never samples a forbidden action, not even at the ends of [0, 1)", () => {
    const logits = f(-Infinity, 0, -Infinity, 1, -Infinity);
    const last = 1 - 2 ** -32;
    for (const u of [0, 1e-12, 0.5, last, 1]) expect([1, 3]).toContain(sampleCategorical(logits, 0, 5, u));
    expect(categoricalLogprob(logits, 0, 5, 0)).toBe(-Infinity);
  });

  it("refuses to sample from logits that are no distribution", () => {
    for (const bad of [f(NaN, 0), f(0, NaN), f(Infinity, 0), f(-Infinity, -Infinity)]) {
      expect(() => sampleCategorical(bad, 0, 2, 0.5)).toThrow("sampleCategorical: expected finite logits");
    }
  });

  it("reads float32 network outputs as they are", () => {
    const logits = Float32Array.of(0.1, 0.7, -0.4);
    const p = softmax(logits);
    expectNear(categoricalLogprob(logits, 0, 3, 1), Math.log(p[1]!), 1e-12);
  });

  it("takes the lowest of equal maxima", () => {
    expect(argmax(f(9, 1, 3, 3), 1, 3)).toBe(1);
    expect(argmax(f(-5), 0, 1)).toBe(0);
  });

  it("refuses slices that are not there and actions out of range", () => {
    expect(() => logSumExp(f(1, 2), 1, 2)).toThrow("logSumExp: expected logits to hold");
    expect(() => categoricalLogprob(f(1, 2), 0, 2, 2)).toThrow("expected an action in 0 … 1, got 2");
  });
});

describe("the diagonal Gaussian", () => {
  it("has the product of one-dimensional densities", () => {
    const random = new Random(113);
    const means = normals(random, 12);
    const actions = normals(random, 12);
    const logStds = f(-0.5, 0.2, 0.9);
    for (let offset = 0; offset < 12; offset += 3) {
      let density = 1;
      for (let d = 0; d < 3; d++) {
        const s = Math.exp(logStds[d]!);
        const z = (actions[offset + d]! - means[offset + d]!) / s;
        density *= Math.exp(-(z * z) / 2) / (s * Math.sqrt(2 * Math.PI));
      }
      expectNear(gaussianLogprob(means, offset, logStds, 0, actions, offset, 3), Math.log(density), 1e-12);
    }
  });

  it("gives the catalogue's component densities (PMoE): N(.4; 0, .5) and N(.4; 1, 1)", () => {
    const logStds = f(Math.log(0.5), 0);
    expectNear(gaussianLogprob(f(0), 0, logStds, 0, f(0.4), 0, 1), -0.545791);
    expectNear(gaussianLogprob(f(1), 0, logStds, 1, f(0.4), 0, 1), -1.098939);
  });

  it("has the entropy −∫ p·log p that integration finds", () => {
    const logStd = f(0.3);
    let integral = 0;
    const h = 1e-3;
    for (let x = -15; x < 15; x += h) {
      const logprob = gaussianLogprob(f(0), 0, logStd, 0, f(x), 0, 1);
      integral -= Math.exp(logprob) * logprob * h;
    }
    expectNear(gaussianEntropy(logStd, 0, 1), integral, 1e-9);
    // Independent dimensions add.
    const two = gaussianEntropy(f(0.3, -0.8), 0, 2);
    expectNear(two, gaussianEntropy(f(0.3, -0.8), 0, 1) + gaussianEntropy(f(0.3, -0.8), 1, 1), 1e-12);
  });

  it("samples mean + σ·z and reports the density of what it stored", () => {
    const out = new Float32Array(4);
    const means = f(9, 1, -2);
    const logStds = f(0, Math.log(2));
    sampleGaussian(means, 1, logStds, 0, f(0.5, -1), 0, 2, out, 2);
    expect(Array.from(out)).toEqual([0, 0, 1.5, -4]);
    // z = (.5, −1): −½(.25 + 1) − log 2 − log 2π.
    const expected = -0.625 - Math.LN2 - Math.log(2 * Math.PI);
    expectNear(gaussianLogprob(means, 1, logStds, 0, out, 2, 2), expected, 1e-12);
  });

  it("refuses slices that are not there", () => {
    expect(() => sampleGaussian(f(0), 0, f(0), 0, f(0), 0, 1, f(), 0)).toThrow(
      "sampleGaussian: expected out to hold",
    );
  });
});

describe("the entropy bonus", () => {
  it("is −H with slope −1", () => {
    const { loss, gate } = evaluate(entropyBonus, f(0.7, 1.2), 2);
    expect([Array.from(loss), Array.from(gate)]).toEqual([
      [-0.7, -1.2],
      [-1, -1],
    ]);
  });
});
