import { describe, expect, it } from "vitest";
import { box, discrete, multiDiscrete, type Space } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { ModelSpec } from "../../core/model/model.js";
import { createPolicySampler } from "../../core/policy/policy-sampler.js";
import { Random } from "../../core/random.js";
import { engineFor, inputsFor, livelyWeights } from "./harness.js";

const base = { kind: "mlp", hidden: [6], observationSpace: box([3], -1, 1) } as const;
const SQUASHED: ModelSpec = {
  ...{ ...base, distribution: "tanhGaussian", actionSpace: box([2], [-2, 0], [2, 0.5]) },
};
const MIXTURE: ModelSpec = {
  ...{ ...base, distribution: "mixture", components: 3, actionSpace: box([2], -1, 1) },
};

describe.each([
  ["categorical", discrete(5)],
  ["multi-discrete", multiDiscrete([4, 3])],
] as const)("the %s head with masks", (_, actionSpace) => {
  const spec: ModelSpec = { ...base, actionSpace };
  const count = 8;
  const { engine: inputs } = inputsFor(spec, count, 1, { masked: true });
  const masks = inputs.actionMasks!;

  it("gives forbidden actions probability zero, and they are never sampled", async () => {
    const engine = await engineFor(spec, livelyWeights(spec, 4));
    const { policy } = await engine.forward(inputs, ["policy"]);
    expect(masks.filter((allowed) => allowed === 0).length).toBeGreaterThan(4);
    const sizes = actionSpace.kind === "discrete" ? [actionSpace.n] : actionSpace.sizes;
    const width = sizes.reduce((a, b) => a + b, 0);
    const starts = sizes.map((_size, k) => sizes.slice(0, k).reduce((a, b) => a + b, 0));
    for (let i = 0; i < count; i++) {
      for (const [k, size] of sizes.entries()) {
        const from = i * width + starts[k]!;
        const part = Array.from(policy.subarray(from, from + size));
        const total = part.reduce((sum, x) => sum + Math.exp(x - Math.max(...part)), 0);
        part.forEach((x, a) => {
          const p = Math.exp(x - Math.max(...part)) / total;
          if (masks[from + a] === 0) expect(p).toBe(0);
          else expect(p).toBeGreaterThan(0);
        });
      }
    }
    const sampler = createPolicySampler(actionSpace, count);
    const random = new Random(6);
    for (let draw = 0; draw < 300; draw++) {
      if (draw % 2 === 0) sampler.sample(policy, random);
      else sampler.greedy(policy);
      sampler.actions.forEach((action, j) => {
        const at = Math.floor(j / sizes.length) * width + starts[j % sizes.length]! + action;
        expect(masks[at]).toBe(1);
      });
    }
    engine.close();
  });

  it("gives a certain action log-probability 0 and entropy 0", async () => {
    const engine = await engineFor(spec, livelyWeights(spec, 4));
    const sizes = actionSpace.kind === "discrete" ? [actionSpace.n] : actionSpace.sizes;
    const actions = Int32Array.from({ length: count * sizes.length }, () => 1);
    const only = sizes.flatMap((size) => Array.from({ length: size }, (_v, a) => (a === 1 ? 1 : 0)));
    const actionMasks = Uint8Array.from({ length: count * only.length }, (_v, j) => only[j % only.length]!);
    const certain = { ...inputs, actions, actionMasks };
    const { logprob, entropy } = await engine.forward(certain, ["logprob", "entropy"]);
    for (let i = 0; i < count; i++) {
      expect(logprob[i]).toBeCloseTo(0, 6);
      expect(entropy[i]).toBeCloseTo(0, 6);
    }
    engine.close();
  });
});

describe.each<readonly [string, ModelSpec]>([
  ["categorical", { ...base, actionSpace: discrete(4) }],
  ["multi-discrete", { ...base, actionSpace: multiDiscrete([3, 2, 4]) }],
  ["Gaussian", { ...base, actionSpace: box([2], -1, 1) }],
  ["tanh-squashed Gaussian", SQUASHED],
  ["mixture", MIXTURE],
])("the sampler of the %s head", (_, spec) => {
  it("records the log-probability that the network gives the recorded action", async () => {
    const engine = await engineFor(spec, livelyWeights(spec, 5));
    const count = 50;
    const { engine: inputs } = inputsFor(spec, count, 1);
    const { policy } = await engine.forward(inputs, ["policy"]);
    const sampler = createPolicySampler(spec.actionSpace, count, spec.distribution);
    sampler.sample(policy, new Random(8));
    const { logprob } = await engine.forward({ ...inputs, actions: sampler.actions }, ["logprob"]);
    logprob.forEach((x, i) => expect(sampler.logprobs[i]).toBeCloseTo(x, 4));
    engine.close();
  });
});

describe("the tanh-squashed Gaussian head", () => {
  it("has as entropy the mean of −logprob over many draws", async () => {
    const engine = await engineFor(SQUASHED, livelyWeights(SQUASHED, 6));
    const draws = 20_000;
    const one = inputsFor(SQUASHED, 1, 1).engine;
    const observations = Float32Array.from({ length: 3 * draws }, (_, i) => one.observations[i % 3]!);
    const inputs = { steps: draws, observations, actions: null };
    const { policy, entropy } = await engine.forward(inputs, ["policy", "entropy"]);
    const sampler = createPolicySampler(SQUASHED.actionSpace, draws, "tanhGaussian");
    sampler.sample(policy, new Random(9));
    const { logprob } = await engine.forward({ ...inputs, actions: sampler.actions }, ["logprob"]);
    const mean = logprob.reduce((sum, x) => sum - x, 0) / draws;
    const deviation = Math.sqrt(logprob.reduce((sum, x) => sum + (-x - mean) ** 2, 0) / draws);
    expect(Math.abs(mean - entropy[0]!)).toBeLessThan((4 * deviation) / Math.sqrt(draws));
    engine.close();
  });

  it("stays finite for actions far out, where 1 − tanh² is zero in any precision", async () => {
    const engine = await engineFor(SQUASHED, livelyWeights(SQUASHED, 6));
    const inputs = inputsFor(SQUASHED, 2, 1).engine;
    const actions = Float32Array.of(60, -60, 0, 45);
    const { logprob } = await engine.forward({ ...inputs, actions }, ["logprob"]);
    for (const x of logprob) expect(Number.isFinite(x)).toBe(true);
    engine.close();
  });

  it("refuses an action space without bounds and says what to set", () => {
    const actionSpace: Space = box([2], [-1, -Infinity], 1);
    expect(() => createModel({ ...SQUASHED, actionSpace })).toThrow(
      /expected an action space with finite bounds, got Box\(2\) .*set model.distribution: gaussian/,
    );
  });
});

describe("a network", () => {
  it.each<readonly [ModelSpec, RegExp]>([
    [
      { ...base, kind: "cnn", convolutions: [], actionSpace: discrete(2) },
      /model cnn: expected observations Box\(height×width×channels\), got Box\(3\); set model.kind: mlp/,
    ],
    [
      {
        ...{ kind: "cnn", convolutions: [{ channels: 1, kernel: 5, stride: 1 }], hidden: [] },
        ...{ observationSpace: box([9, 4, 1], 0, 1), actionSpace: discrete(2) },
      },
      /model.convolutions.0.kernel: expected at most 4, the side of its 9×4 input, got 5/,
    ],
    [
      {
        ...{
          kind: "transformer",
          layers: 1,
          width: 4,
          heads: 1,
          feedForward: 4,
          norm: "rms",
          activation: "gelu",
        },
        ...{ observationSpace: box([3], -1, 1), actionSpace: discrete(2) },
      },
      /model transformer: expected observations Discrete or MultiDiscrete \(tokens\), got Box\(3\)/,
    ],
  ])("refuses spaces and sizes it cannot take, naming what it can", (spec, message) => {
    expect(() => createModel(spec)).toThrow(message);
  });

  it("lists its parameters from the trunk to the actor to the critic, with their first values", () => {
    const spec: ModelSpec = {
      ...{ kind: "gru", hidden: [6], units: 4, observationSpace: discrete(5), actionSpace: box([2], -1, 1) },
    };
    const { tensors } = initialWeights(createModel(spec), 1);
    expect(tensors.map(({ name, shape }) => [name, ...shape])).toEqual([
      ["encoder/0/weight", 5, 6],
      ["encoder/0/bias", 6],
      ["gru/inputWeight", 6, 12],
      ["gru/stateWeight", 4, 12],
      ["gru/inputBias", 12],
      ["gru/stateBias", 12],
      ["actor/weight", 4, 2],
      ["actor/bias", 2],
      ["actor/logStd", 2],
      ["critic/weight", 4, 1],
      ["critic/bias", 1],
    ]);
    const squares = (name: string): number =>
      Float64Array.from(tensors.find((t) => t.name === name)!.data).reduce((sum, x) => sum + x * x, 0);
    // An orthogonal matrix of gain g has min(rows, columns)·g² as the sum of its squares.
    expect(squares("encoder/0/weight")).toBeCloseTo(5 * 2, 4);
    expect(squares("gru/inputWeight")).toBeCloseTo(6, 4);
    expect(squares("gru/stateWeight")).toBeCloseTo(4, 4);
    expect(squares("actor/weight")).toBeCloseTo(2 * 1e-4, 8);
    expect(squares("critic/weight")).toBeCloseTo(1, 5);
    for (const { name } of tensors.filter((t) => /[bB]ias$|logStd/.test(t.name)))
      expect(squares(name)).toBe(0);
  });
});
