import { describe, expect, it } from "vitest";
import { box, discrete, multiDiscrete, type Space } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import type { ModelSpec } from "../../core/model/model.js";
import { Random } from "../../core/random.js";
import { doubles, engineFor, inputsFor, livelyWeights } from "./harness.js";
import { reference, type Weights } from "./reference.js";

const LIVE = ["logprob", "entropy", "value"] as const;
type Live = (typeof LIVE)[number];

const board = box([5, 4, 2], -1, 1);
const tokens = multiDiscrete([3, 2]);
const small = { kind: "transformer", layers: 2, width: 8, heads: 2, feedForward: 6 } as const;

interface Example {
  readonly title: string;
  readonly spec: ModelSpec;
  /** [B, T] */
  readonly size: readonly [number, number];
  readonly masked?: boolean;
}

const heads: readonly (readonly [string, Space, boolean])[] = [
  ["categorical", discrete(4), false],
  ["masked categorical", discrete(4), true],
  ["multi-discrete", multiDiscrete([3, 1, 2]), false],
  ["masked multi-discrete", multiDiscrete([3, 2]), true],
  ["Gaussian", box([2], -1, 1), false],
];

const EXAMPLES: readonly Example[] = [
  ...heads.map(([name, actionSpace, masked]) => ({
    title: `mlp, ${name} head`,
    spec: { kind: "mlp", hidden: [5, 4], observationSpace: box([3], -1, 1), actionSpace } as const,
    size: [6, 1] as const,
    masked,
  })),
  {
    title: "mlp, tanh-squashed Gaussian head",
    spec: {
      ...{ kind: "mlp", hidden: [4], distribution: "tanhGaussian" },
      ...{ observationSpace: multiDiscrete([2, 3]), actionSpace: box([2], [-2, 0], [2, 0.5]) },
    },
    size: [5, 1],
  },
  {
    title: "cnn, one convolution",
    spec: {
      ...{ kind: "cnn", convolutions: [{ channels: 3, kernel: 3, stride: 1 }], hidden: [4] },
      ...{ observationSpace: board, actionSpace: discrete(3) },
    },
    size: [3, 1],
  },
  {
    title: "cnn, strides that divide their kernels, on frames of bytes with an edge that no kernel reaches",
    spec: {
      kind: "cnn",
      convolutions: [
        { channels: 3, kernel: 4, stride: 2 },
        { channels: 2, kernel: 2, stride: 1 },
      ],
      hidden: [],
      ...{ observationSpace: box([9, 8, 1], 0, 255), actionSpace: box([1], -1, 1) },
    },
    size: [3, 1],
  },
  {
    title: "cnn, strides that do not divide their kernels, in every layer",
    spec: {
      kind: "cnn",
      convolutions: [
        { channels: 2, kernel: 3, stride: 2 },
        { channels: 3, kernel: 3, stride: 2 },
        { channels: 2, kernel: 2, stride: 2 },
      ],
      hidden: [3, 3],
      ...{ observationSpace: box([14, 12, 1], -1, 1), actionSpace: discrete(2) },
    },
    size: [2, 1],
  },
  {
    title: "gru, sequences with states",
    spec: {
      ...{ kind: "gru", hidden: [4], units: 3 },
      ...{ observationSpace: box([3], -1, 1), actionSpace: discrete(3) },
    },
    size: [2, 4],
  },
  {
    title: "gru without encoder, single steps of integers",
    spec: {
      ...{ kind: "gru", hidden: [], units: 3 },
      ...{ observationSpace: tokens, actionSpace: box([2], -1, 1) },
    },
    size: [4, 1],
  },
  ...(["rms", "layer"] as const).flatMap((norm) =>
    (["swiglu", "gelu"] as const).map((activation) => ({
      title: `transformer, ${norm} norm, ${activation}, two tokens a step`,
      spec: { ...small, norm, activation, observationSpace: tokens, actionSpace: discrete(3) },
      size: [2, 3] as const,
    })),
  ),
  {
    title: "transformer, one token a step, masked multi-discrete head",
    spec: {
      ...{ ...small, heads: 1, norm: "rms", activation: "swiglu" },
      ...{ observationSpace: discrete(4), actionSpace: multiDiscrete([2, 3]) },
    },
    size: [2, 5],
    masked: true,
  },
];

/** Σ cotangent·column of the reference. */
function objectiveOf(
  columns: Readonly<Record<Live, readonly number[]>>,
  cotangents: Readonly<Record<Live, Float64Array>>,
): number {
  return LIVE.reduce((sum, c) => sum + columns[c].reduce((s, x, i) => s + x * cotangents[c][i]!, 0), 0);
}

function moved(weights: Weights, name: string, direction: Float64Array, by: number): Weights {
  const { shape, data } = weights.get(name)!;
  return new Map(weights).set(name, { shape, data: data.map((x, i) => x + by * direction[i]!) });
}

/** Up to eight single elements, and one random direction through all of them. */
function directions(size: number, random: Random): Float64Array[] {
  const singles = Array.from({ length: Math.min(size, 8) }, (_, k) => {
    const direction = new Float64Array(size);
    direction[Math.floor((k * size) / Math.min(size, 8))] = 1;
    return direction;
  });
  return [...singles, Float64Array.from({ length: size }, () => random.normal())];
}

describe.each(EXAMPLES)("$title", ({ spec, size: [batch, length], masked = false }) => {
  const weights = livelyWeights(spec, 3);
  const inputs = inputsFor(spec, batch, length, { masked });

  it("gives the columns of the float64 reference", async () => {
    const engine = await engineFor(spec, weights);
    const expected = reference(spec, doubles(weights), inputs.reference);
    const { policyWidth, stateWidth } = createModel(spec);
    const got = await engine.forward(inputs.engine, [
      ...LIVE,
      "policy",
      ...(stateWidth > 0 ? ["state" as const] : []),
    ]);
    for (const column of LIVE) {
      expect(got[column].length).toBe(batch * length);
      expected[column].forEach((x, i) => expect(got[column][i], column).toBeCloseTo(x, 4));
    }
    expect(got.policy.length).toBe(batch * length * policyWidth);
    // Masked logits lie near −1e9, where float32 has steps of 64.
    expected.policy
      .flat()
      .forEach((x, i) =>
        x < -1e8 ? expect(got.policy[i]).toBeLessThan(-9e8) : expect(got.policy[i]).toBeCloseTo(x, 4),
      );
    expect(expected.state.flat().length).toBe(stateWidth * (stateWidth > 0 ? batch : 0));
    expected.state.flat().forEach((x, i) => expect(got.state[i]).toBeCloseTo(x, 4));
    engine.close();
  });

  it("has the gradient that central differences of the reference give", async () => {
    const engine = await engineFor(spec, weights);
    const random = new Random(11);
    const draw = (): Float64Array => Float64Array.from({ length: batch * length }, () => random.normal());
    const cotangents = { logprob: draw(), entropy: draw(), value: draw() };
    const step = { learningRate: 0, maxGradNorm: Infinity, epsilon: 1e-5, beta1: 0.9, beta2: 0.999 };
    await engine.update(inputs.engine, LIVE, () => cotangents, step);
    // After Adam's first step m = (1 − β1)·g, so the optimiser state holds the gradient.
    const gradients = new Map(engine.optimizerState().tensors.map((t) => [t.name, t.data]));
    const start = doubles(weights);
    const h = 1e-5;
    for (const { name, data } of weights.tensors) {
      const gradient = Float64Array.from(gradients.get(`m/${name}`)!, (m) => m / 0.1);
      for (const direction of directions(data.length, random)) {
        const at = (by: number): number =>
          objectiveOf(reference(spec, moved(start, name, direction, by), inputs.reference), cotangents);
        const expected = (at(h) - at(-h)) / (2 * h);
        const got = gradient.reduce((sum, g, i) => sum + g * direction[i]!, 0);
        expect(Math.abs(got - expected), `${name}: ${got} against ${expected}`).toBeLessThan(
          5e-4 * Math.max(1, Math.abs(expected)),
        );
      }
    }
    engine.close();
  });
});
