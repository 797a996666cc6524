import { describe, expect, it } from "vitest";
import { aggregateWeights, seqMeanTokenMean, tokenMean, weightedLoss } from "../../core/algo/aggregate.js";
import { ratios, sequenceLogRatios } from "../../core/algo/ratio.js";
import {
  cispo,
  clipFraction,
  dualClip,
  importanceSampling,
  outsideFraction,
  ppoClip,
  reinforce,
  softGate,
  spo,
} from "../../core/algo/surrogates.js";
import type { Surrogate, SurrogateInput } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import { F, PRINTED, dot, evaluate, expectClose, expectNear, f, normals } from "./fixture.js";

const WINDOW = { low: 0.2, high: 0.2 };
const inputF: SurrogateInput = { logprobs: F.logprobs, logRatios: F.logRatios, advantages: F.advantages };
const kappa = aggregateWeights(tokenMean(), F.mask, F.offsets);

function onF(surrogate: Surrogate, input = inputF) {
  return evaluate(surrogate, input, 10);
}

function cotangent(gate: Float64Array, weights = kappa): Float64Array {
  return gate.map((g, t) => g * weights[t]!);
}

/** A step at a time: ratio and advantage; logprob −1 unless given. */
function single(surrogate: Surrogate, ratio: number, advantage: number, logprob = -1) {
  const input = { logprobs: f(logprob), logRatios: f(Math.log(ratio)), advantages: f(advantage) };
  const { loss, gate } = evaluate(surrogate, input, 1);
  return { loss: loss[0]!, gate: gate[0]! };
}

describe("surrogates on fixture F", () => {
  it("gives PPO's losses, token-mean loss and cotangent", () => {
    const { loss, gate } = onF(ppoClip(WINDOW));
    expectClose(
      loss,
      [
        -0.957104, -0.823787, -1.039229, 0.692819, 1.006176, 0.910426, 1.291956, 0.692819, 0.866024,
        -1.039229,
      ],
      PRINTED,
    );
    expectNear(weightedLoss(kappa, loss), 0.160087);
    expectClose(
      cotangent(gate),
      [-0.09571, -0.082379, 0, 0, 0.100618, 0.091043, 0.129196, 0, 0.086602, 0],
      PRINTED,
    );
  });

  it("clips tokens 3, 4, 8 and 10, while token 7 lies outside the window without being clipped", () => {
    // Token 7: ρ = 1.49 and A < 0, so the unclipped branch is the larger loss.
    expectNear(clipFraction(F.logRatios, F.advantages, F.mask, WINDOW), 0.4, 0);
    expectNear(outsideFraction(F.logRatios, F.mask, WINDOW), 0.5, 0);
  });

  it("gives DAPO's asymmetric clip", () => {
    const { loss, gate } = onF(ppoClip({ low: 0.2, high: 0.28 }));
    expectNear(weightedLoss(kappa, loss), 0.151305);
    expectClose(
      cotangent(gate),
      [-0.09571, -0.082379, 0, 0, 0.100618, 0.091043, 0.129196, 0, 0.086602, -0.105776],
      PRINTED,
    );
  });

  it("gives the dual clip of the catalogue: ρ 4 and 2, A −1, c 3 → 3 and 2", () => {
    const clip = dualClip({ ...WINDOW, c: 3 });
    const high = single(clip, 4, -1);
    expectClose([high.loss, high.gate], [3, 0], 1e-12);
    const inside = single(clip, 2, -1);
    expectClose([inside.loss, inside.gate], [2, 2], 1e-12);
    // c bounds only steps with A < 0.
    expect(onF(dualClip({ ...WINDOW, c: 3 }))).toEqual(onF(ppoClip(WINDOW)));
  });

  it("gives SPO's losses and gates", () => {
    const { loss, gate } = onF(spo({ epsilon: 0.2 }));
    expectClose(
      loss,
      [-0.933157, -0.818638, -0.904004, 0.780395, 1.06288, 0.916117, 1.815665, 0.787005, 0.866024, -0.951635],
      PRINTED,
    );
    expectClose(
      gate,
      [-0.453807, -1.02467, 0.875932, -0.07149, 1.820345, 1.143819, 4.469035, -0.189845, 0.866024, 0.113195],
      PRINTED,
    );
    expectNear(weightedLoss(kappa, loss), 0.262065);
  });

  it("gives CISPO without a lower bound", () => {
    const { loss, gate } = onF(cispo({ low: Infinity, high: 0.2 }));
    expectNear(weightedLoss(kappa, loss), -0.213054);
    expectClose(
      cotangent(gate),
      [-0.09571, -0.082379, -0.103923, 0.067446, 0.100618, 0.091043, 0.103923, 0.064157, 0.086602, -0.103923],
      PRINTED,
    );
  });

  it("gives GSPO: sequence ratios through the same clip, at ε = .2 and at the paper's ε", () => {
    const logRatios = sequenceLogRatios(F.logprobs, F.oldLogprobs, F.mask, F.offsets);
    const rows = aggregateWeights(seqMeanTokenMean(), F.mask, F.offsets);
    const wide = onF(ppoClip(WINDOW), { ...inputF, logRatios });
    expectNear(weightedLoss(rows, wide.loss), -0.072379);
    const a = -0.081099;
    const b = 0.102973;
    const c = 0.056195;
    expectClose(cotangent(wide.gate, rows), [a, a, a, b, b, c, c, c, c, 0], PRINTED);
    const narrow = onF(ppoClip({ low: 3e-4, high: 4e-4 }), { ...inputF, logRatios });
    expectNear(weightedLoss(rows, narrow.loss), 0.008035);
    expectClose(cotangent(narrow.gate, rows), [0, 0, 0, 0, 0, c, c, c, c, 0], PRINTED);
  });
});

/** φ as P5 writes it, one step at a time, with what is held constant passed beside what is live. */
const REFERENCES: readonly [
  string,
  Surrogate,
  (live: number, old: number, held: number, a: number) => number,
][] = [
  ["reinforce", reinforce(), (live, _old, _held, a) => -a * live],
  ["importanceSampling", importanceSampling(), (live, old, _held, a) => -a * Math.exp(live - old)],
  [
    "ppoClip",
    ppoClip({ low: 0.2, high: 0.3 }),
    (live, old, _held, a) => {
      const rho = Math.exp(live - old);
      return Math.max(-a * rho, -a * Math.min(Math.max(rho, 0.8), 1.3));
    },
  ],
  [
    "dualClip",
    dualClip({ low: 0.2, high: 0.3, c: 1.5 }),
    (live, old, _held, a) => {
      const rho = Math.exp(live - old);
      const ppo = Math.max(-a * rho, -a * Math.min(Math.max(rho, 0.8), 1.3));
      return a < 0 ? Math.min(ppo, -a * 1.5) : ppo;
    },
  ],
  [
    "spo",
    spo({ epsilon: 0.25 }),
    (live, old, _held, a) => {
      const rho = Math.exp(live - old);
      return -(a * rho - (Math.abs(a) * (rho - 1) ** 2) / (2 * 0.25));
    },
  ],
  [
    "cispo",
    cispo({ low: 0.2, high: 0.3 }),
    (live, old, held, a) => -Math.min(Math.max(Math.exp(held - old), 0.8), 1.3) * a * live,
  ],
  [
    "softGate",
    softGate({ positive: 1.5, negative: 2 }),
    (live, old, _held, a) => {
      const tau = a > 0 ? 1.5 : 2;
      return (-a * (4 / tau)) / (1 + Math.exp(-tau * (Math.exp(live - old) - 1)));
    },
  ],
];

describe.each(REFERENCES)("%s", (_name, surrogate, phi) => {
  const random = new Random(51);
  const n = 200;
  const logprobs = normals(random, n, 0.3, -1);
  const oldLogprobs = normals(random, n, 0.3, -1);
  const advantages = normals(random, n);
  const logRatios = logprobs.map((x, t) => x - oldLogprobs[t]!);
  const { loss, gate } = evaluate(surrogate, { logprobs, logRatios, advantages }, n);

  it("has the loss of its formula on random draws", () => {
    const expected = logprobs.map((x, t) => phi(x, oldLogprobs[t]!, x, advantages[t]!));
    expectClose(loss, expected, 1e-12);
  });

  it("has the gate that central differences find, away from kinks", () => {
    const h = 1e-5;
    let compared = 0;
    for (let t = 0; t < n; t++) {
      const rho = Math.exp(logRatios[t]!);
      if ([0.8, 1.3, 1.5, 1].some((kink) => Math.abs(rho - kink) < 1e-3)) continue;
      const at = (x: number): number => phi(x, oldLogprobs[t]!, logprobs[t]!, advantages[t]!);
      const slope = (at(logprobs[t]! + h) - at(logprobs[t]! - h)) / (2 * h);
      expectNear(gate[t]!, slope, 1e-7);
      compared++;
    }
    expect(compared).toBeGreaterThan(180);
  });

  it("refuses columns of different lengths by name", () => {
    const input = { logprobs: f(1, 2), logRatios: f(1, 2), advantages: f(1) };
    expect(() => evaluate(surrogate, input, 2)).toThrow(/expected advantages \[2\], got \[1\]/);
  });
});

describe("properties of the clips", () => {
  it("closes ppoClip's gate exactly where ρ is past the window on the side A pushes to", () => {
    const random = new Random(52);
    const n = 500;
    const advantages = normals(random, n);
    const logRatios = normals(random, n, 0.4);
    const mask = new Uint8Array(n).fill(1);
    const input = { logprobs: logRatios, logRatios, advantages };
    const { gate } = evaluate(ppoClip({ low: 0.1, high: 0.3 }), input, n);
    const rho = ratios(logRatios);
    let closed = 0;
    for (let t = 0; t < n; t++) {
      const past = advantages[t]! > 0 ? rho[t]! > 1.3 : rho[t]! < 0.9;
      expect(gate[t] === 0).toBe(past);
      if (past) closed++;
    }
    expectNear(clipFraction(logRatios, advantages, mask, { low: 0.1, high: 0.3 }), closed / n, 0);
  });

  it("leaves ppoClip's gate open on the edge itself", () => {
    // ρ = 1 + high exactly: both branches are equal, the clipped one is not strictly larger.
    const clip = ppoClip({ low: 0.5, high: Math.exp(0.5) - 1 });
    const input = { logprobs: f(-1), logRatios: f(0.5), advantages: f(2) };
    expectNear(evaluate(clip, input, 1).gate[0]!, -2 * Math.exp(0.5), 1e-12);
  });

  it("has SPO's gate at zero for ρ = 1 + sign(A)·ε and pointing back beyond it", () => {
    const surrogate = spo({ epsilon: 0.2 });
    for (const advantage of [1.7, -0.6]) {
      const edge = 1 + Math.sign(advantage) * 0.2;
      expectNear(single(surrogate, edge, advantage).gate, 0, 1e-12);
      const beyond = single(surrogate, edge + Math.sign(advantage) * 0.1, advantage).gate;
      expect(Math.sign(beyond)).toBe(Math.sign(advantage));
    }
  });

  it("agrees with REINFORCE's gate at ρ = 1 for every surrogate", () => {
    const random = new Random(53);
    const advantages = normals(random, 20);
    const input = { logprobs: normals(random, 20, 1, -2), logRatios: new Float64Array(20), advantages };
    for (const [, surrogate] of REFERENCES) {
      expectClose(
        evaluate(surrogate, input, 20).gate,
        advantages.map((a) => -a),
        1e-12,
      );
    }
  });

  it("follows the true derivative of GSPO's sequence loss, through every token of the row", () => {
    const epsilon = { low: 0.3, high: 0.3 };
    const rows = aggregateWeights(seqMeanTokenMean(), F.mask, F.offsets);
    const lossAt = (logprobs: Float64Array): number => {
      const logRatios = sequenceLogRatios(logprobs, F.oldLogprobs, F.mask, F.offsets);
      return dot(rows, onF(ppoClip(epsilon), { ...inputF, logprobs, logRatios }).loss);
    };
    const logRatios = sequenceLogRatios(F.logprobs, F.oldLogprobs, F.mask, F.offsets);
    const got = cotangent(onF(ppoClip(epsilon), { ...inputF, logRatios }).gate, rows);
    for (let t = 0; t < 10; t++) {
      const at = (x: number): number => lossAt(F.logprobs.map((l, u) => (u === t ? l + x : l)));
      expectNear(got[t]!, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-8);
    }
  });

  it("counts clip fractions over chosen steps only", () => {
    const mask = Uint8Array.of(1, 0, 1);
    const logRatios = f(1, 1, 0);
    expect(clipFraction(logRatios, f(1, 1, 1), mask, WINDOW)).toBe(0.5);
    expect(outsideFraction(logRatios, mask, WINDOW)).toBe(0.5);
    // A = 0 has no gradient for the clip to remove.
    expect(clipFraction(f(1, -1), f(0, 0), Uint8Array.of(1, 1), WINDOW)).toBe(0);
    expect(outsideFraction(logRatios, new Uint8Array(3), WINDOW)).toBe(0);
  });
});
