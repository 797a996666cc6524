import { describe, expect, it } from "vitest";
import { gae } from "../../core/algo/gae.js";
import { vtrace, type VtraceInput, type VtraceParameters } from "../../core/algo/vtrace.js";
import { Random } from "../../core/random.js";
import { PRINTED, expectClose, f, normals, raggedBatch } from "./fixture.js";

const STANDARD: VtraceParameters = { gamma: 0.99, lambda: 1, maxRatio: 1, maxPolicyRatio: 1 };

function randomInput(random: Random): VtraceInput {
  const { steps, rows, mask, offsets } = raggedBatch(random, 8);
  return {
    ...{ rewards: normals(random, steps), values: normals(random, steps), mask, offsets },
    bootstrapValues: normals(random, rows),
    terminated: Uint8Array.from({ length: rows }, () => random.integer(2)),
    logRatios: normals(random, steps),
  };
}

/** v_s = V_s + Σ_{t≥s} γ^{t−s}·(Π_{s≤i<t} c_i)·δ_t and its advantage, for each chosen step: the paper's sums as they stand. */
function slowVtrace(input: VtraceInput, p: VtraceParameters): Map<number, { v: number; pg: number }> {
  const { rewards, values, bootstrapValues, terminated, mask, offsets, logRatios } = input;
  const found = new Map<number, { v: number; pg: number }>();
  for (let i = 0; i + 1 < offsets.length; i++) {
    const steps: number[] = [];
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) if (mask[t] === 1) steps.push(t);
    const end = terminated[i] === 1 ? 0 : bootstrapValues[i]!;
    const value = (k: number): number => (k < steps.length ? values[steps[k]!]! : end);
    const ratio = (k: number): number => Math.exp(logRatios[steps[k]!]!);
    const target = (s: number): number => {
      let sum = value(s);
      for (let k = s; k < steps.length; k++) {
        let trace = p.gamma ** (k - s);
        for (let j = s; j < k; j++) trace *= p.lambda * Math.min(1, ratio(j));
        const error = rewards[steps[k]!]! + p.gamma * value(k + 1) - value(k);
        sum += trace * Math.min(p.maxRatio, ratio(k)) * error;
      }
      return sum;
    };
    steps.forEach((t, k) => {
      const pg = Math.min(p.maxPolicyRatio, ratio(k)) * (rewards[t]! + p.gamma * target(k + 1) - value(k));
      found.set(t, { v: target(k), pg });
    });
  }
  return found;
}

describe("vtrace", () => {
  it("gives the catalogue's numbers", () => {
    const { advantages, returns } = vtrace(
      {
        ...{ rewards: f(1, 0, 2), values: f(0.5, 0.4, 0.3), logRatios: f(0.2, -0.4, 0.6) },
        ...{ bootstrapValues: f(0.2), terminated: Uint8Array.of(0), mask: Uint8Array.of(1, 1, 1) },
        offsets: Uint32Array.of(0, 3),
      },
      STANDARD,
    );
    expectClose(returns, [2.574597, 1.590502, 2.198], PRINTED);
    expectClose(advantages, [2.074597, 1.190502, 1.898], PRINTED);
  });

  it.each([STANDARD, { gamma: 0.9, lambda: 0.7, maxRatio: 1.5, maxPolicyRatio: 0.8 }])(
    "is the paper's sum over the chosen steps of each row, %o",
    (parameters) => {
      const random = new Random(4);
      for (let draw = 0; draw < 30; draw++) {
        const input = randomInput(random);
        const { advantages, returns } = vtrace(input, parameters);
        for (const [t, { v, pg }] of slowVtrace(input, parameters)) {
          expect(Math.abs(returns[t]! - v)).toBeLessThan(1e-10);
          expect(Math.abs(advantages[t]! - pg)).toBeLessThan(1e-10);
        }
      }
    },
  );

  it("has on policy the targets of GAE with λ = 1", () => {
    const random = new Random(5);
    const input = randomInput(random);
    const onPolicy = { ...input, logRatios: new Float64Array(input.rewards.length) };
    const targets = vtrace(onPolicy, STANDARD).returns;
    const chosen = [...input.mask.keys()].filter((t) => input.mask[t] === 1);
    const expected = gae(input, { gamma: 0.99, lambda: 1 }).returns;
    expectClose(
      chosen.map((t) => targets[t]!),
      chosen.map((t) => expected[t]!),
      1e-10,
    );
  });

  it("refuses columns of another length, naming them", () => {
    const input = randomInput(new Random(6));
    expect(() => vtrace({ ...input, logRatios: f(1) }, STANDARD)).toThrow(/vtrace: expected logRatios/);
  });
});
