/** Steps in a trust region on real engines: products with the KL's curvature, the bound, and what is left alone. */
import { describe, expect, it } from "vitest";
import { addScaled, differenceProduct, dot } from "../../core/algo/trust-region.js";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine, probeEngines, type EngineId } from "../../core/engine/select.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import { Random } from "../../core/random.js";
import { assembleBatch, withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { trainBatch } from "../../services/learner/train-batch.js";
import { trustRegionStep } from "../../services/learner/trust-region.js";
import { randomRollout } from "../recipes/fixture.js";

const ACTIONS = 3;
const MODEL = createModel({
  ...{ kind: "mlp", hidden: [5], observationSpace: box([3], -1, 1), actionSpace: discrete(ACTIONS) },
});
const engines = (await probeEngines()).filter(({ available }) => available).map(({ id }) => id);

async function engineOf(id: EngineId): Promise<Engine> {
  const { engine } = await createEngine(id, MODEL);
  const random = new Random(9);
  const { tensors } = initialWeights(MODEL, 3);
  const lively = tensors.map((t) => ({ ...t, data: t.data.map((x) => x + 0.3 * random.normal()) }));
  engine.load({ version: 0, tensors: lively });
  return engine;
}

/** Random steps whose actions the engine's policy would have taken with the log-probabilities recorded. */
async function batchFor(engine: Engine): Promise<Batch> {
  const random = new Random(4);
  const batch = assembleBatch([randomRollout(random, { rows: 12, masked: 0 })]);
  const actions = Int32Array.from(batch.inputs.actions!, () => random.integer(ACTIONS));
  const inputs = { ...batch.inputs, actions };
  const { logprob } = await engine.forward(inputs, ["logprob"]);
  const logprobs = Float64Array.from(logprob);
  return withColumns({ ...batch, inputs }, { step: { behaviorLogprobs: logprobs, oldLogprobs: logprobs } });
}

const flat = (engine: Engine): number[] => engine.weights(0).tensors.flatMap(({ data }) => [...data]);

describe.each(engines)("engine %s", (id) => {
  it("gives the gradient that an update takes, and changes nothing by it", async () => {
    const engine = await engineOf(id);
    const { inputs } = await batchFor(engine);
    const random = new Random(5);
    const draw = (width: number): Float64Array =>
      Float64Array.from({ length: inputs.steps * width }, () => random.normal());
    const cotangents = { logprob: draw(1), value: draw(1), policy: draw(ACTIONS) };
    const want = ["logprob", "value", "policy"] as const;
    const before = { weights: engine.weights(0), optimizer: engine.optimizerState() };
    const gradient = await engine.gradient(inputs, want, () => cotangents);
    expect({ weights: engine.weights(0), optimizer: engine.optimizerState() }).toEqual(before);
    const step = { learningRate: 1e-3, maxGradNorm: Infinity, epsilon: 1e-5, beta1: 0, beta2: 0.999 };
    const { gradNorm } = await engine.update(inputs, want, () => cotangents, step);
    const moments = engine.optimizerState().tensors.filter(({ name }) => name.startsWith("m/"));
    expect([...gradient]).toEqual(moments.flatMap(({ data }) => [...data]));
    expect(Math.hypot(...gradient)).toBeCloseTo(gradNorm, 4);
    engine.close();
  });

  it("gives products with the KL's curvature that are the Fisher matrix's, JᵀFJ from its own Jacobian", async () => {
    const engine = await engineOf(id);
    const { inputs } = await batchFor(engine);
    const steps = 4;
    const few = { ...inputs, steps, observations: inputs.observations.slice(0, 3 * steps), actions: null };
    const start = engine.weights(0);
    const { policy } = await engine.forward(few, ["policy"]);
    const probabilities = Array.from({ length: steps }, (_, t) => {
      const part = Array.from(policy.subarray(t * ACTIONS, (t + 1) * ACTIONS), Math.exp);
      return part.map((x) => x / part.reduce((a, b) => a + b, 0));
    });
    const jacobian: Float64Array[] = [];
    for (let k = 0; k < policy.length; k++) {
      const unit = new Float64Array(policy.length);
      unit[k] = 1;
      jacobian.push(Float64Array.from(await engine.gradient(few, ["policy"], () => ({ policy: unit }))));
    }
    const theta = Float64Array.from(flat(engine));
    const exact = (v: Float64Array): Float64Array => {
      const jv = jacobian.map((row) => dot(row, v));
      let product: Float64Array = new Float64Array(v.length);
      probabilities.forEach((p, t) => {
        const mean = p.reduce((sum, x, a) => sum + x * jv[t * ACTIONS + a]!, 0);
        p.forEach((x, a) => {
          const weight = (x * (jv[t * ACTIONS + a]! - mean)) / steps;
          product = addScaled(product, weight, jacobian[t * ACTIONS + a]!);
        });
      });
      return product;
    };
    const gradientAt = async (place: Float64Array): Promise<Float64Array> => {
      let at = 0;
      const tensors = start.tensors.map((t) => {
        const data = Float32Array.from(place.subarray(at, (at += t.data.length)));
        return { ...t, data };
      });
      engine.load({ version: 0, tensors });
      const gradient = await engine.gradient(few, ["policy"], (live) => {
        const cotangent = Float64Array.from(live.policy!, (_, k) => {
          const row = live.policy!.subarray(k - (k % ACTIONS), k - (k % ACTIONS) + ACTIONS);
          const total = row.reduce((sum, l) => sum + Math.exp(l), 0);
          const p = probabilities[Math.floor(k / ACTIONS)]![k % ACTIONS]!;
          return (Math.exp(live.policy![k]!) / total - p) / steps;
        });
        return { policy: cotangent };
      });
      return Float64Array.from(gradient);
    };
    const product = differenceProduct(gradientAt, theta, 1e-3);
    const random = new Random(6);
    for (let draw = 0; draw < 3; draw++) {
      const v = theta.map(() => random.normal());
      const expected = exact(v);
      const error = addScaled(await product(v), -1, expected);
      expect(Math.sqrt(dot(error, error) / dot(expected, expected))).toBeLessThan(5e-3);
    }
    engine.close();
  });

  it("takes a step of the policy within the KL allowed that lowers the loss, and fits the critic by itself", async () => {
    const engine = await engineOf(id);
    const batch = await batchFor(engine);
    const recipe = resolveRecipe({ id: "trpo", params: { valueIterations: 20 } });
    const context = {
      readings: {},
      reference: null,
      learningRate: 0.01,
      random: new Random(1),
      now: () => 0,
    };
    const before = engine.weights(0).tensors;
    const { updates, skipped, stats } = await trainBatch(engine, recipe, batch, context);
    expect({ updates, skipped }).toEqual({ updates: 21, skipped: 0 });
    expect(stats["lineSearchFailed"]).toBe(0);
    expect(stats["policyKl"]).toBeGreaterThan(1e-3);
    expect(stats["policyKl"]).toBeLessThanOrEqual(0.01);
    // Whitened advantages and ratios of 1: the loss begins at 0.
    expect(stats["policyLoss"]).toBeLessThan(-0.01);
    expect(engine.optimizerState().steps).toBe(20);
    const moved = engine
      .weights(0)
      .tensors.filter(({ data }, k) => data.some((x, i) => x !== before[k]!.data[i]))
      .map(({ name }) => name.split("/")[0]);
    expect(new Set(moved)).toEqual(new Set(["actor", "critic"]));
    engine.close();
  });

  it("stays where it is when every place is worse, or the gradient is not finite", async () => {
    const engine = await engineOf(id);
    const batch = await batchFor(engine);
    const { terms, update, ...recipe } = resolveRecipe({ id: "trpo", params: {} });
    const region = update.optimizer!;
    const { policy } = await engine.forward(batch.inputs, ["policy"]);
    const policies = Float64Array.from(policy);
    const sealedWith = (advantage: number): Batch =>
      withColumns(batch, {
        step: { policies, advantages: new Float64Array(batch.mask.length).fill(advantage) },
      });
    const before = engine.weights(0);
    const run = (sealed: Batch, maxKl: number) =>
      trustRegionStep(engine, { ...recipe, terms, update }, { ...region, maxKl }, sealed, {
        ...{ readings: {}, random: new Random(1) },
      });
    // A bound that no place can keep, for the KL is positive in float32 too.
    expect(await run(sealedWith(1), -1)).toMatchObject({ moved: false });
    expect(await run(sealedWith(Infinity), 0.01)).toMatchObject({ moved: false, finite: false });
    expect(engine.weights(0)).toEqual(before);
    engine.close();
  });
});
