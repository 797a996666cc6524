/** What every engine that works here does, whatever it runs on; its numbers are held to the oracle in test/parity. */
import { gaussianEntropy } from "../../core/algo/entropy.js";
import { mixtureLogprob } from "../../core/algo/mixture.js";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import type { Cotangents, Engine, EngineInputs, OptimizerStep } from "../../core/engine/engine.js";
import { createEngine, probeEngines, type EngineId } from "../../core/engine/select.js";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { ModelSpec } from "../../core/model/model.js";
import { Random } from "../../core/random.js";
import type { WeightsSnapshot } from "../../core/types.js";

const SGD_LIKE: OptimizerStep = {
  learningRate: 1e-3,
  maxGradNorm: Infinity,
  epsilon: 1e-5,
  beta1: 0.9,
  beta2: 0.999,
};

const MLP = {
  kind: "mlp",
  hidden: [7, 5],
  observationSpace: box([3], -1, 1),
  actionSpace: discrete(4),
} as const;

const SPECS: readonly (readonly [string, ModelSpec])[] = [
  ["box observation, categorical head", MLP],
  [
    "discrete observation, categorical head",
    { kind: "mlp", hidden: [6], observationSpace: discrete(5), actionSpace: discrete(2) },
  ],
  [
    "multi-discrete observation, Gaussian head",
    { kind: "mlp", hidden: [6], observationSpace: multiDiscrete([3, 2]), actionSpace: box([2], -1, 1) },
  ],
  [
    "mixture head, two critics and one of components",
    {
      ...{ kind: "mlp", hidden: [4], observationSpace: box([2], -1, 1), actionSpace: box([2], -1, 1) },
      ...{ distribution: "mixture", components: 3, postDecisionCritic: true },
    },
  ],
];

function inputsFor(spec: ModelSpec, steps: number): EngineInputs {
  const random = new Random(5);
  const { observationSpace: o, actionSpace: a } = spec;
  const observations = Array.from({ length: steps }, () =>
    o.kind === "box"
      ? o.low.map(() => random.normal())
      : (o.kind === "discrete" ? [o.n] : o.sizes).map((n) => random.integer(n)),
  ).flat();
  const actions = Array.from({ length: steps }, () =>
    a.kind === "discrete" ? [random.integer(a.n)] : a.kind === "box" ? a.low.map(() => random.normal()) : [],
  ).flat();
  const inputs = {
    steps,
    observations: Float32Array.from(observations),
    actions: Float32Array.from(actions),
  };
  if (spec.postDecisionCritic !== true) return inputs;
  return { ...inputs, postObservations: Float32Array.from(observations, () => random.normal()) };
}

async function engineFor(id: EngineId, spec: ModelSpec): Promise<Engine> {
  const model = createModel(spec);
  const { engine } = await createEngine(id, model);
  // The policy's output starts near zero; a livelier start makes gradient checks sharper.
  const random = new Random(9);
  const start = initialWeights(model, 3);
  engine.load({
    version: 0,
    tensors: start.tensors.map((t) => ({
      ...t,
      data: Float32Array.from(t.data, (x) => x + 0.3 * random.normal()),
    })),
  });
  return engine;
}

function perturbed(weights: WeightsSnapshot, name: string, index: number, by: number): WeightsSnapshot {
  return {
    version: weights.version,
    tensors: weights.tensors.map((t) =>
      t.name === name ? { ...t, data: Float32Array.from(t.data, (x, i) => (i === index ? x + by : x)) } : t,
    ),
  };
}

const engines = (await probeEngines()).filter(({ available }) => available).map(({ id }) => id);
const everywhere = engines.flatMap((id) => SPECS.map(([name, spec]) => ({ id, name, spec })));

describe.each(everywhere)("engine $id, $name", ({ id, spec }) => {
  it("pulls cotangents back to the gradient that central differences give", async () => {
    const engine = await engineFor(id, spec);
    const inputs = inputsFor(spec, 6);
    const random = new Random(11);
    const draw = (width = 1): Float64Array => Float64Array.from({ length: 6 * width }, () => random.normal());
    const policy = draw(createModel(spec).policyWidth);
    const more = { postValue: draw(), componentValues: draw(spec.components ?? 1) };
    const cotangents = { logprob: draw(), entropy: draw(), value: draw(), policy, ...more };
    const own = spec.postDecisionCritic === true ? (["postValue", "componentValues"] as const) : [];
    const want = ["logprob", "entropy", "value", "policy", ...own] as const;
    const start = engine.weights(0);
    const objective = async (): Promise<number> => {
      const columns = await engine.forward(inputs, want);
      return want.reduce((sum, c) => sum + columns[c].reduce((s, x, i) => s + x * cotangents[c][i]!, 0), 0);
    };
    const { gradNorm } = await engine.update(inputs, want, () => cotangents, SGD_LIKE);
    // After Adam's first step m = (1 − β1)·g, so the optimiser state holds the gradient.
    const gradient = new Map(engine.optimizerState().tensors.map((t) => [t.name, t.data]));
    const h = 1e-2;
    let squares = 0;
    for (const { name, data } of start.tensors) {
      for (let i = 0; i < data.length; i++) {
        const g = gradient.get(`m/${name}`)![i]! / 0.1;
        squares += g * g;
        engine.load(perturbed(start, name, i, h));
        const above = await objective();
        engine.load(perturbed(start, name, i, -h));
        const below = await objective();
        expect(Math.abs(g - (above - below) / (2 * h))).toBeLessThan(2e-2 * Math.max(1, Math.abs(g)));
      }
    }
    expect(gradNorm).toBeCloseTo(Math.sqrt(squares), 3);
    engine.close();
  });

  it("gives probabilities that sum to one and log-probabilities that agree with the policy column", async () => {
    const engine = await engineFor(id, spec);
    const steps = 5;
    const inputs = inputsFor(spec, steps);
    const { policy, logprob, entropy } = await engine.forward(inputs, ["policy", "logprob", "entropy"]);
    const width = policy.length / steps;
    for (let i = 0; i < steps; i++) {
      const p = policy.subarray(i * width, (i + 1) * width);
      if (spec.actionSpace.kind === "discrete") {
        const total = p.reduce((s, x) => s + Math.exp(x), 0);
        const logprobs = Array.from(p, (x) => x - Math.log(total));
        expect(logprob[i]).toBeCloseTo(logprobs[inputs.actions![i]!]!, 5);
        expect(entropy[i]).toBeCloseTo(-logprobs.reduce((s, x) => s + Math.exp(x) * x, 0), 5);
      } else if (spec.distribution === "mixture") {
        const [k, joint] = [spec.components!, new Float64Array(spec.components!)];
        const mixture = { policy, policyOffset: i * width, components: k, actionWidth: 2 };
        const actions = inputs.actions as Float32Array;
        const expected = mixtureLogprob({ ...mixture, actions, actionOffset: 2 * i }, joint);
        expect(logprob[i]).toBeCloseTo(expected, 4);
        const total = p.subarray(0, k).reduce((s, x) => s + Math.exp(x), 0);
        // H(w) + Σ w·H: the entropy of component and action drawn together.
        let together = 0;
        for (let c = 0; c < k; c++) {
          const w = Math.exp(p[c]!) / total;
          together += w * (gaussianEntropy(p, k + 2 * k + 2 * c, 2) - Math.log(w));
        }
        expect(entropy[i]).toBeCloseTo(together, 4);
      } else {
        const k = width / 2;
        let expectedLogprob = 0;
        let expectedEntropy = 0;
        for (let j = 0; j < k; j++) {
          const sigma = Math.exp(p[k + j]!);
          const z = (inputs.actions![i * k + j]! - p[j]!) / sigma;
          expectedLogprob += Math.log(Math.exp(-0.5 * z * z) / (sigma * Math.sqrt(2 * Math.PI)));
          expectedEntropy += 0.5 * Math.log(2 * Math.PI * Math.E * sigma * sigma);
        }
        expect(logprob[i]).toBeCloseTo(expectedLogprob, 4);
        expect(entropy[i]).toBeCloseTo(expectedEntropy, 4);
      }
    }
    engine.close();
  });

  it.runIf(id.startsWith("tfjs:"))(
    "keeps the number of tensors steady over updates, forwards and loads, and frees all on close",
    async () => {
      const before = tf.memory().numTensors;
      const engine = await engineFor(id, spec);
      const inputs = inputsFor(spec, 8);
      const cotangents: Cotangents = {
        logprob: new Float64Array(8).fill(0.1),
        value: new Float64Array(8).fill(0.2),
      };
      const once = async (): Promise<void> => {
        await engine.update(inputs, ["logprob", "value"], () => cotangents, SGD_LIKE);
        await engine.forward(inputs, ["policy", "value"]);
        engine.load(engine.weights(1));
      };
      await once();
      const steady = tf.memory().numTensors;
      for (let i = 0; i < 20; i++) await once();
      expect(tf.memory().numTensors).toBe(steady);
      engine.close();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it("changes nothing and says so when the gradient is not finite", async () => {
    const engine = await engineFor(id, spec);
    const start = engine.weights(0);
    const bad = new Float64Array(4).fill(Number.NaN);
    const stats = await engine.update(inputsFor(spec, 4), ["value"], () => ({ value: bad }), SGD_LIKE);
    expect(stats.applied).toBe(false);
    expect(engine.weights(0)).toEqual(start);
    expect(engine.optimizerState().steps).toBe(0);
    engine.close();
  });
});

describe.each(engines)("engine %s", (id) => {
  it("continues exactly from saved weights and optimiser state", async () => {
    const spec = SPECS[0]![1];
    const inputs = inputsFor(spec, 8);
    const cotangents: Cotangents = {
      logprob: new Float64Array(8).fill(-0.1),
      value: new Float64Array(8).fill(0.2),
    };
    const run = async (engine: Engine, n: number): Promise<void> => {
      for (let i = 0; i < n; i++)
        await engine.update(inputs, ["logprob", "value"], () => cotangents, SGD_LIKE);
    };
    const whole = await engineFor(id, spec);
    await run(whole, 6);
    const first = await engineFor(id, spec);
    await run(first, 3);
    const second = await engineFor(id, spec);
    second.load(first.weights(3));
    second.loadOptimizerState(first.optimizerState());
    await run(second, 3);
    expect(second.weights(6)).toEqual(whole.weights(6));
    for (const engine of [whole, first, second]) engine.close();
  });

  it("refuses weights of another model, naming the tensor and both shapes", async () => {
    const engine = await engineFor(id, SPECS[0]![1]);
    const other = initialWeights(createModel({ ...MLP, hidden: [7, 6] }), 1);
    expect(() => engine.load(other)).toThrow(/expected tensor "actor\/1\/weight" \[7×5\], got \[7×6\]/);
    engine.close();
  });

  it("follows a slow Adam written from the paper for a hundred steps", async () => {
    const spec = SPECS[0]![1];
    const engine = await engineFor(id, spec);
    const inputs = inputsFor(spec, 4);
    const cotangents: Cotangents = { value: Float64Array.of(0.3, -0.2, 0.5, 0.1) };
    const step = { ...SGD_LIKE, maxGradNorm: 0.5 };
    const name = "critic/2/bias";
    // ∂Σ cotangent·value/∂(output bias) = Σ cotangent, whatever the weights; the other gradients only clip it.
    let theta = engine.weights(0).tensors.find((t) => t.name === name)!.data[0]!;
    let m = 0;
    let v = 0;
    for (let t = 1; t <= 100; t++) {
      const { gradNorm } = await engine.update(inputs, ["value"], () => cotangents, step);
      const g = 0.7 * Math.min(1, 0.5 / (gradNorm + 1e-6));
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      theta -= (1e-3 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-5);
    }
    expect(engine.weights(0).tensors.find((t) => t.name === name)!.data[0]).toBeCloseTo(theta, 5);
    engine.close();
  });
});

describe("initial weights", () => {
  it("are orthogonal matrices with the gain asked for", () => {
    const model = createModel({ ...MLP, hidden: [16, 8] });
    for (const { name, shape, data } of initialWeights(model, 4).tensors) {
      if (!name.endsWith("weight")) continue;
      const [rows, columns] = shape as [number, number];
      const gain = name === "actor/2/weight" ? 0.01 : name === "critic/2/weight" ? 1 : Math.SQRT2;
      const short = Math.min(rows, columns);
      const at = (k: number, l: number): number =>
        rows <= columns ? data[k * columns + l]! : data[l * columns + k]!;
      for (let a = 0; a < short; a++) {
        for (let b = 0; b < short; b++) {
          let dot = 0;
          for (let l = 0; l < Math.max(rows, columns); l++) dot += at(a, l) * at(b, l);
          expect(dot).toBeCloseTo(a === b ? gain * gain : 0, 5);
        }
      }
    }
  });
});
