import { describe, expect, it } from "vitest";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import type { ModelSpec } from "../../core/model/model.js";
import { engineFor, inputsFor, livelyWeights, stepsOf } from "./harness.js";

const GRU: ModelSpec = {
  ...{ kind: "gru", hidden: [5], units: 4 },
  ...{ observationSpace: box([3], -1, 1), actionSpace: discrete(3) },
};
const TRANSFORMER: ModelSpec = {
  ...{
    kind: "transformer",
    layers: 2,
    width: 8,
    heads: 2,
    feedForward: 6,
    norm: "rms",
    activation: "swiglu",
  },
  ...{ observationSpace: multiDiscrete([4, 3]), actionSpace: discrete(3) },
};

/** values [B·T] of one sequence */
function sequence(values: Float32Array, length: number, b: number): number[] {
  return Array.from(values.subarray(b * length, (b + 1) * length));
}

describe("a network with memory", () => {
  it("sees the same whether six steps come at once or in two halves with the state carried", async () => {
    const engine = await engineFor(GRU, livelyWeights(GRU, 1));
    const whole = inputsFor(GRU, 2, 6).engine;
    const all = await engine.forward(whole, ["value", "state"]);
    const first = await engine.forward(stepsOf(GRU, whole, [0, 3], whole.states!), ["value", "state"]);
    const second = await engine.forward(stepsOf(GRU, whole, [3, 6], first.state), ["value", "state"]);
    const forgetful = await engine.forward(stepsOf(GRU, whole, [3, 6], null), ["value"]);
    for (const b of [0, 1]) {
      const halves = [...sequence(first.value, 3, b), ...sequence(second.value, 3, b)];
      sequence(all.value, 6, b).forEach((x, t) => expect(halves[t]).toBeCloseTo(x, 5));
      expect(sequence(forgetful.value, 3, b)[0]).not.toBeCloseTo(sequence(second.value, 3, b)[0]!, 2);
    }
    all.state.forEach((x, i) => expect(second.state[i]).toBeCloseTo(x, 5));
    engine.close();
  });

  it("starts from zeros where no state is given", async () => {
    const engine = await engineFor(GRU, livelyWeights(GRU, 1));
    const inputs = { ...inputsFor(GRU, 2, 2).engine, states: null };
    const without = await engine.forward(inputs, ["value"]);
    const zeros = await engine.forward({ ...inputs, states: new Float32Array(8) }, ["value"]);
    expect(without.value).toEqual(zeros.value);
    engine.close();
  });
});

describe.each([
  ["a transformer", TRANSFORMER],
  ["a gru", GRU],
] as const)("%s", (_, spec) => {
  const weights = livelyWeights(spec, 2);
  const length = 5;

  it("never lets a later step change what it gave for an earlier one", async () => {
    const engine = await engineFor(spec, weights);
    const inputs = inputsFor(spec, 2, length).engine;
    const other = inputsFor(spec, 2, length, { seed: 77 }).engine;
    const width = inputs.observations.length / inputs.steps;
    const before = await engine.forward(inputs, ["value", "policy"]);
    for (let t = 1; t < length; t++) {
      const observations = Float32Array.from(inputs.observations);
      // The second sequence goes another way from step t on.
      const from = (length + t) * width;
      observations.set(other.observations.subarray(from, 2 * length * width), from);
      expect(observations).not.toEqual(inputs.observations);
      const after = await engine.forward({ ...inputs, observations }, ["value", "policy"]);
      const same = length + t;
      const policyWidth = before.policy.length / inputs.steps;
      after.value.subarray(0, same).forEach((x, i) => expect(x).toBeCloseTo(before.value[i]!, 6));
      after.policy
        .subarray(0, same * policyWidth)
        .forEach((x, i) => expect(x).toBeCloseTo(before.policy[i]!, 6));
      expect(after.value.subarray(same)).not.toEqual(before.value.subarray(same));
    }
    engine.close();
  });

  it("depends on what came before", async () => {
    const engine = await engineFor(spec, weights);
    const inputs = inputsFor(spec, 1, length).engine;
    const other = inputsFor(spec, 1, length, { seed: 77 }).engine;
    const width = inputs.observations.length / inputs.steps;
    const observations = Float32Array.from(inputs.observations);
    observations.set(other.observations.subarray(0, width));
    const before = await engine.forward(inputs, ["value"]);
    const after = await engine.forward({ ...inputs, observations }, ["value"]);
    expect(Math.abs(after.value[length - 1]! - before.value[length - 1]!)).toBeGreaterThan(1e-4);
    engine.close();
  });
});
