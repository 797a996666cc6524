import { describe, expect, it } from "vitest";
import {
  addCotangent,
  aggregateWeights,
  seqMeanTokenMean,
  tokenMean,
  weightedLoss,
} from "../../core/algo/aggregate.js";
import { logSoftmax } from "../../core/algo/categorical.js";
import { doublingKlStep, proportionalKlStep } from "../../core/algo/kl-controller.js";
import {
  approximateKl,
  klAbsolute,
  klK1,
  klK2,
  klK3,
  klK3Plus,
  klShapedRewards,
} from "../../core/algo/kl.js";
import { discountedReturns } from "../../core/algo/returns.js";
import { ppoClip } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import {
  F,
  PRINTED,
  centralDifference,
  dot,
  evaluate,
  expectClose,
  expectNear,
  f,
  normals,
} from "./fixture.js";

const REFERENCES = [
  ["klK1", klK1, (d: number) => d],
  ["klK2", klK2, (d: number) => (d * d) / 2],
  ["klK3", klK3, (d: number) => Math.exp(-d) + d - 1],
  ["klAbsolute", klAbsolute, (d: number) => Math.abs(d)],
] as const;

/** log-probabilities of softmax over the logits. */
function logprobsOf(logits: Float64Array): Float64Array {
  const out = new Float64Array(logits.length);
  logSoftmax(logits, 0, logits.length, out, 0);
  return out;
}

/** Σ_a p_a·log(p_a/q_a), from the definition. */
function exactKl(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, x, a) => sum + Math.exp(x) * (x - q[a]!), 0);
}

describe("KL estimators", () => {
  it("give P4's numbers on F", () => {
    const k1 = evaluate(klK1, F, 10);
    expectClose(k1.loss, [0.12, -0.08, 0.25, -0.25, 0.25, 0.01, 0.46, -0.38, -0.02, 0.1], PRINTED);
    const k3 = evaluate(klK3, F, 10);
    expectClose(
      k3.loss,
      [0.00692, 0.003287, 0.028801, 0.034025, 0.028801, 0.00005, 0.091284, 0.082285, 0.000201, 0.004837],
      PRINTED,
    );
    expectNear(weightedLoss(aggregateWeights(tokenMean(), F.mask, F.offsets), k3.loss), 0.028049);
  });

  it("give GRPO's k3 term and total loss on F", () => {
    const rows = aggregateWeights(seqMeanTokenMean(), F.mask, F.offsets);
    const policy = evaluate(ppoClip({ low: 0.2, high: 0.2 }), F, 10);
    const kl = evaluate(klK3, F, 10);
    expectNear(weightedLoss(rows, kl.loss), 0.023177);
    expectNear(weightedLoss(rows, policy.loss) + 0.04 * weightedLoss(rows, kl.loss), -0.046439);
    const cotangent = new Float64Array(10);
    addCotangent(cotangent, rows, policy.gate, 1);
    addCotangent(cotangent, rows, kl.gate, 0.04);
    const expected = rows.map((k, t) => k * (policy.gate[t]! + 0.04 * kl.gate[t]!));
    expectClose(cotangent, expected, 1e-15);
  });

  it.each(REFERENCES)(
    "%s has the value of its formula and the slope central differences find",
    (_n, term, k) => {
      const random = new Random(71);
      const logprobs = normals(random, 100, 0.7, -1);
      const refLogprobs = normals(random, 100, 0.7, -1);
      const { loss, gate } = evaluate(term, { logprobs, refLogprobs }, 100);
      for (let t = 0; t < 100; t++) {
        const at = (x: number): number => k(x - refLogprobs[t]!);
        expectNear(loss[t]!, at(logprobs[t]!), 1e-12);
        expectNear(gate[t]!, centralDifference(at, logprobs[t]!), 1e-7);
      }
    },
  );

  it("k3+ has the value of k3 and the gradient of k2", () => {
    expect(evaluate(klK3Plus, F, 10).loss).toEqual(evaluate(klK3, F, 10).loss);
    expect(evaluate(klK3Plus, F, 10).gate).toEqual(evaluate(klK2, F, 10).gate);
  });

  it("k3 stops at 10, where its gate is 0 while that of k3+ still pulls back", () => {
    // D = −3: e³ − 4 = 16.1 > 10. D = 9: e^{−9} + 8. D = 30: clamped to 20, so 19 → 10.
    const input = { logprobs: f(-4, 8, 29), refLogprobs: f(-1, -1, -1) };
    const k3 = evaluate(klK3, input, 3);
    expectClose(k3.loss, [10, Math.exp(-9) + 8, 10], 1e-12);
    expectClose(k3.gate, [0, 1 - Math.exp(-9), 0], 1e-12);
    expectClose(evaluate(klK3Plus, input, 3).gate, [-3, 9, 30], 1e-12);
  });

  it("k1 and k3 have KL(π ‖ π_ref) as their mean under π, and k2's gate has its gradient", () => {
    const random = new Random(72);
    const logits = normals(random, 5);
    const ref = logprobsOf(normals(random, 5));
    const live = logprobsOf(logits);
    const p = live.map(Math.exp);
    const input = { logprobs: live, refLogprobs: ref };
    expectNear(dot(p, evaluate(klK1, input, 5).loss), exactKl(live, ref), 1e-12);
    expectNear(dot(p, evaluate(klK3, input, 5).loss), exactKl(live, ref), 1e-12);
    // Mean over actions of gate·∂ℓ_a/∂logit_b, ∂ℓ_a/∂logit_b = 1[a=b] − p_b, against the slope of the exact KL.
    const k1 = evaluate(klK1, input, 5).gate;
    const k2 = evaluate(klK2, input, 5).gate;
    for (let b = 0; b < 5; b++) {
      const through = (gate: Float64Array): number =>
        gate.reduce((sum, g, a) => sum + p[a]! * g * ((a === b ? 1 : 0) - p[b]!), 0);
      const klAt = (x: number): number => exactKl(logprobsOf(logits.map((l, a) => (a === b ? x : l))), ref);
      expectNear(through(k2), centralDifference(klAt, logits[b]!), 1e-8);
      expectNear(through(k1), 0, 1e-12);
    }
  });

  it("approximateKl has KL(π_old ‖ π) as its mean under π_old", () => {
    const random = new Random(73);
    const old = logprobsOf(normals(random, 4));
    const live = logprobsOf(normals(random, 4));
    let mean = 0;
    for (let a = 0; a < 4; a++) {
      const drawn = approximateKl(f(live[a]! - old[a]!, 99), Uint8Array.of(1, 0));
      mean += Math.exp(old[a]!) * drawn;
    }
    expectNear(mean, exactKl(old, live), 1e-12);
    expect(approximateKl(f(1), Uint8Array.of(0))).toBe(0);
  });

  it("keeps the digits of a tiny divergence", () => {
    // D = 1e-9: k3 = D²/2 − … = 5e-19, far below the rounding of e^{−D} + D − 1 done literally.
    const { loss } = evaluate(klK3, { logprobs: f(1e-9), refLogprobs: f(0) }, 1);
    expectNear(loss[0]! / 5e-19, 1, 1e-5);
  });
});

describe("KL in the reward", () => {
  it("gives the token rewards of PPO-max and the returns of REINFORCE++ on F", () => {
    const shaped = klShapedRewards(
      {
        rewards: f(0, 0, 0.8),
        oldLogprobs: f(-0.5, -1, -0.2),
        refLogprobs: f(-0.6, -0.8, -0.3),
        mask: Uint8Array.of(1, 1, 1),
      },
      0.02,
    );
    expectClose(shaped, [-0.002, 0.004, 0.798], PRINTED);

    const scores = f(0, 0, 1, 0, 0, 0, 0, 0, 0, 1);
    const rewards = klShapedRewards({ ...F, rewards: scores }, 0.01);
    const returns = discountedReturns(
      { ...F, rewards, bootstrapValues: f(0, 0, 0, 0), terminated: Uint8Array.of(1, 1, 1, 1) },
      1,
    );
    const expected = [1.0006, 1.0008, 1.0005, -0.001, -0.001, 0.0008, 0.0004, 0.001, 0.0002, 1.001];
    expectClose(returns, expected, PRINTED);
  });

  it("leaves the reward of a masked step alone", () => {
    const input = {
      rewards: f(1, 2),
      oldLogprobs: f(NaN, -1),
      refLogprobs: f(0, -3),
      mask: Uint8Array.of(0, 1),
    };
    expectClose(klShapedRewards(input, 0.5), [1, 1], 1e-12);
    expect(Array.from(input.rewards)).toEqual([1, 2]);
  });
});

describe("KL controllers", () => {
  it("gives the proportional step of P4: β .2, KL .09, target .06, n 256, horizon 1e4 → .201024", () => {
    const measured = { kl: 0.09, samples: 256 };
    expectNear(proportionalKlStep(0.2, measured, { target: 0.06, horizon: 1e4 }), 0.201024, 1e-12);
    // Far below and far above: the error is clipped to ∓.2, so .1·(1 ∓ .2·.1).
    for (const [kl, expected] of [
      [0.001, 0.098],
      [9, 0.102],
    ] as const) {
      const far = proportionalKlStep(0.1, { kl, samples: 100 }, { target: 0.06, horizon: 1000 });
      expectNear(far, expected, 1e-12);
    }
    // Below target, inside the clip: .1·(1 + (.054/.06 − 1)·100/1000) = .1·(1 − .01).
    const below = proportionalKlStep(0.1, { kl: 0.054, samples: 100 }, { target: 0.06, horizon: 1000 });
    expectNear(below, 0.099, 1e-12);
  });

  it("halves, keeps and doubles as PPO's rule says: target .01, KL .004, .01, .02", () => {
    expect([0.004, 0.01, 0.02].map((kl) => doublingKlStep(3, kl, 0.01))).toEqual([1.5, 3, 6]);
  });
});
