import { describe, expect, it } from "vitest";
import type { ArrayEnvironment } from "../../core/env/array-environment.js";
import { findEnvironment } from "../../envs/index.js";
import { goldens, type GoldenStep } from "./goldens.js";

function make(id: string, count: number): ArrayEnvironment {
  const definition = findEnvironment(id);
  return definition.vectorize(definition.spec({}), {}, count) as ArrayEnvironment;
}

/** The recorded continuous actions are float64; a Float32Array would round them before the physics sees them. */
function actionsOf(steps: readonly GoldenStep[]): Int32Array | Float32Array {
  if (typeof steps[0]!.a === "number") return Int32Array.from(steps, (t) => t.a as number);
  return Float64Array.from(steps, (t) => (t.a as readonly [number])[0]) as unknown as Float32Array;
}

/** One instance a recorded transition, standing in its state. */
function placed(id: string, steps: readonly GoldenStep[]): ArrayEnvironment {
  const env = make(id, steps.length);
  env.reset(new Uint32Array(steps.length));
  steps.forEach((t, i) => t.s.forEach((value, k) => (env.state[k]![i] = value)));
  return env;
}

/** Largest |got − expected| over max(1, |expected|). */
function worstError(got: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((e, k) => Math.abs(got[k]! - e) / Math.max(1, Math.abs(e))));
}

const ids = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"];
const cases = ids.flatMap((id) =>
  goldens<readonly GoldenStep[]>("classic", id).map(([source, steps]) => ({ id, source, steps })),
);

describe.each(cases)("$id against Gymnasium, $source", ({ id, steps }) => {
  it("reaches the recorded next state, reward and end from every recorded state", () => {
    const env = placed(id, steps);
    const actions = actionsOf(steps);
    steps.forEach((t, i) => {
      env.advance(i, actions);
      const next = env.state.map((variable) => variable[i]!);
      expect(
        worstError(next, t.ns),
        `state after transition ${i}: ${next.join(", ")} for ${t.ns.join(", ")}`,
      ).toBeLessThan(1e-12);
      expect(worstError([env.rewards[i]!], [t.r]), `reward of transition ${i}`).toBeLessThan(1e-12);
      expect(env.terminated[i] === 1, `end at transition ${i}`).toBe(t.term);
    });
  });

  it("observes exactly the recorded float32 values, in finalObservations where the episode ended", () => {
    const env = placed(id, steps);
    const width = steps[0]!.obs.length;
    env.step(actionsOf(steps));
    steps.forEach((t, i) => {
      const from = t.term ? env.finalObservations : env.observations;
      expect(Array.from(from.subarray(i * width, (i + 1) * width)), `transition ${i}`).toEqual(t.obs);
    });
  });
});

describe("start states of the classic environments", () => {
  /** Bounds of each state variable at the start of an episode, from Gymnasium's `reset`; equal = a constant. */
  const bounds: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
    "CartPole-v1": Array.from({ length: 4 }, () => [-0.05, 0.05] as const),
    "Acrobot-v1": Array.from({ length: 4 }, () => [-0.1, 0.1] as const),
    "MountainCar-v0": [[-0.6, -0.4], [0, 0]], // prettier-ignore
    "MountainCarContinuous-v0": [[-0.6, -0.4], [0, 0]], // prettier-ignore
    "Pendulum-v1": [[-Math.PI, Math.PI], [-1, 1]], // prettier-ignore
  };

  it.each(ids)("%s draws every variable uniformly between Gymnasium's bounds", (id) => {
    const count = 20_000;
    const env = make(id, count);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    expect(env.state).toHaveLength(bounds[id]!.length);
    bounds[id]!.forEach(([low, high], k) => {
      const unit = Array.from(env.state[k]!, (x) => (high === low ? x - low : (x - low) / (high - low)));
      if (high === low) return expect(unit.every((u) => u === 0)).toBe(true);
      const tenths = new Array<number>(10).fill(0);
      for (const u of unit) tenths[Math.floor(u * 10)]!++;
      // Binomial: mean count/10, standard deviation sqrt(count·0.09) ≈ 42; five of them.
      for (const hits of tenths)
        expect(Math.abs(hits - count / 10)).toBeLessThan(5 * Math.sqrt(count * 0.09));
    });
  });
});
