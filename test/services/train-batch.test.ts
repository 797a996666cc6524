import { afterAll, describe, expect, it } from "vitest";
import { categoricalLogprob } from "../../core/algo/categorical.js";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import { createPolicySampler } from "../../core/policy/policy-sampler.js";
import { deriveSeed, Random } from "../../core/random.js";
import { assembleBatch, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { StopReason, type Rollout, type WeightsSnapshot } from "../../core/types.js";
import { trainBatch } from "../../services/learner/train-batch.js";
import { smallRollout } from "./fixture.js";
import { contextOf } from "./training-fixture.js";

/** Three arms, two contexts: arm 0 pays 1 in context +1, arm 2 in context −1, the others nothing. */
const ARMS = 3;
const MODEL = createModel({
  kind: "mlp",
  hidden: [8],
  observationSpace: box([1], -1, 1),
  actionSpace: discrete(ARMS),
});
const PARAMS = {
  minibatches: 4,
  epochs: 4,
  learningRate: 0.01,
  entropyCoefficient: 0,
  valueClipEpsilon: null,
};

const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.close()));

async function engineAt(weights: WeightsSnapshot = initialWeights(MODEL, 1)): Promise<Engine> {
  const { engine } = await createEngine("tfjs:wasm", MODEL);
  engine.load(weights);
  engines.push(engine);
  return engine;
}

const recipeOf = (params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id: "ppo", params: { ...PARAMS, ...params } });

/** `count` episodes of one pull each, with the engine's policy. */
async function pulls(engine: Engine, count: number, random: Random): Promise<Rollout> {
  const observations = Float32Array.from({ length: count }, () => (random.integer(2) === 0 ? 1 : -1));
  const sampler = createPolicySampler(discrete(ARMS), count);
  const { policy } = await engine.forward({ steps: count, observations, actions: null }, ["policy"]);
  sampler.sample(policy, random);
  const rewards = Float32Array.from(sampler.actions, (arm, i) =>
    arm === (observations[i] === 1 ? 0 : 2) ? 1 : 0,
  );
  const ones = new Uint8Array(count).fill(1);
  return {
    ...smallRollout(),
    columns: {
      ...{ observationWidth: 1, actionWidth: 1, observations, rewards },
      offsets: Uint32Array.from({ length: count + 1 }, (_, i) => i),
      actions: Int32Array.from(sampler.actions),
      ...{ actionMaskWidth: 0, actionMasks: new Uint8Array(0) },
      ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
      postObservations: new Float32Array(0),
      ...{ stateWidth: 0, initialStates: new Float32Array(0) },
      behaviorLogprobs: Float32Array.from(sampler.logprobs),
      mask: ones,
      versionRunLengths: Uint32Array.of(count),
      versionRunValues: Uint32Array.of(0),
      finalObservations: observations,
      terminated: ones,
      truncated: new Uint8Array(count),
      stopReasons: new Uint8Array(count).fill(StopReason.terminated),
      trajectoryIds: Uint32Array.from({ length: count }, (_, i) => i + 1),
      seeds: new Uint32Array(count),
      stepExtras: {},
      rowCounters: {},
    },
  };
}

const bandit = async (engine: Engine, count: number, seed: number): Promise<Batch> =>
  assembleBatch([await pulls(engine, count, new Random(seed))]);

/** Probability of the paying arm, mean over the two contexts. */
async function skill(engine: Engine): Promise<number> {
  const observations = Float32Array.of(1, -1);
  const { policy } = await engine.forward({ steps: 2, observations, actions: null }, ["policy"]);
  const paying = [categoricalLogprob(policy, 0, ARMS, 0), categoricalLogprob(policy, ARMS, ARMS, 2)];
  return (Math.exp(paying[0]!) + Math.exp(paying[1]!)) / 2;
}

describe("training on a bandit", () => {
  it("makes the policy pull the paying arm of each context and the critic know what it pays", async () => {
    const engine = await engineAt();
    expect(await skill(engine)).toBeCloseTo(1 / ARMS, 1);
    const random = new Random(3);
    const valueLosses: number[] = [];
    for (let k = 0; k < 30; k++) {
      const { stats } = await trainBatch(
        engine,
        recipeOf(),
        await bandit(engine, 128, k),
        contextOf(0.01, random),
      );
      valueLosses.push(stats["valueLoss"]!);
    }
    expect(await skill(engine)).toBeGreaterThan(0.9);
    // It begins at about ½E[r²] = 1/6 and ends at half the variance of the little luck that is left.
    expect(valueLosses[0]).toBeGreaterThan(0.1);
    expect(valueLosses.at(-1)).toBeLessThan(0.05);
  });

  it("lowers the loss of the very batch it trains on", async () => {
    const engine = await engineAt();
    const batch = await bandit(engine, 64, 5);
    const once = recipeOf({ epochs: 1, minibatches: 1 });
    const losses: number[] = [];
    for (let k = 0; k < 25; k++) {
      const { stats } = await trainBatch(engine, once, batch, contextOf(0.01, new Random(1)));
      losses.push(stats["loss"]!);
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.1);
  });

  it("takes epochs × minibatches steps, and says so", async () => {
    const engine = await engineAt();
    const batch = await bandit(engine, 64, 5);
    for (const [epochs, minibatches] of [
      [1, 1],
      [3, 4],
      [2, 64],
    ] as const) {
      const before = engine.optimizerState().steps;
      const result = await trainBatch(
        engine,
        recipeOf({ epochs, minibatches }),
        batch,
        contextOf(0.001, new Random(1)),
      );
      expect(result).toMatchObject({ updates: epochs * minibatches, skipped: 0 });
      expect(engine.optimizerState().steps - before).toBe(epochs * minibatches);
      expect(result.stats["learningRate"]).toBe(0.001);
    }
  });

  it("gives the same weights bit for bit for the same seed, and others for another", async () => {
    const run = async (seed: number) => {
      const engine = await engineAt();
      const random = new Random(seed);
      for (let k = 0; k < 3; k++) {
        await trainBatch(
          engine,
          recipeOf(),
          await bandit(engine, 50, deriveSeed(9, k)),
          contextOf(0.01, random),
        );
      }
      return { weights: engine.weights(3), random: random.state() };
    };
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    expect((await run(2)).weights).not.toEqual(first.weights);
  });

  it("evaluates a batch larger than one forward call like the pieces it is made of", async () => {
    const engine = await engineAt();
    const batch = await bandit(engine, 5000, 8);
    const recipe = recipeOf({ epochs: 1, minibatches: 1 });
    let values: Float64Array | undefined;
    const looking: Recipe = {
      ...recipe,
      derive: [
        {
          ...{ id: "look", when: "seal", needs: ["values"], writes: [] },
          run: (sealed) => {
            values = sealed.step["values"];
            return {};
          },
        },
        ...recipe.derive,
      ],
    };
    await trainBatch(engine, looking, batch, contextOf(0, new Random(1)));
    const { observations } = batch.inputs;
    const tail = { steps: 5, observations: observations.subarray(4995), actions: null };
    const { value } = await (await engineAt()).forward(tail, ["value"]);
    expect(values).toHaveLength(5000);
    for (let k = 0; k < 5; k++) expect(values![4995 + k]).toBeCloseTo(value[k]!, 6);
  });

  it("leaves weights and moments alone where a gradient is not finite, and counts it", async () => {
    const engine = await engineAt();
    const batch = await bandit(engine, 64, 5);
    const { weights, optimizer } = { weights: engine.weights(0), optimizer: engine.optimizerState() };
    // An advantage of infinity is what a broken reward would make of one step.
    const broken = batch.step["rewards"]!.slice();
    broken[7] = Infinity;
    const poisoned = { ...batch, step: { ...batch.step, rewards: broken } };
    const recipe = recipeOf({ epochs: 2, minibatches: 1, normalizeAdvantages: false });
    const result = await trainBatch(engine, recipe, poisoned, contextOf(0.01, new Random(1)));
    expect(result).toMatchObject({ updates: 0, skipped: 2 });
    expect(engine.weights(0)).toEqual(weights);
    expect(engine.optimizerState()).toEqual(optimizer);
    for (const value of Object.values(result.stats)) expect(Number.isFinite(value)).toBe(true);
    // One poisoned minibatch spoils that one only.
    const four = recipeOf({ epochs: 1, minibatches: 4, normalizeAdvantages: false });
    expect(await trainBatch(engine, four, poisoned, contextOf(0.01, new Random(1)))).toMatchObject({
      ...{ updates: 3, skipped: 1 },
    });
  });

  it("ends its epochs once the policy has moved further than targetKl", async () => {
    const many = { epochs: 50, minibatches: 1, targetKl: 0.02 };
    const engine = await engineAt();
    const batch = await bandit(engine, 64, 5);
    const { updates, stats } = await trainBatch(
      engine,
      recipeOf(many),
      batch,
      contextOf(0.05, new Random(1)),
    );
    expect(updates).toBeGreaterThan(1);
    expect(updates).toBeLessThan(50);
    expect(stats["klK3"]).toBeGreaterThan(0);
    const patient = recipeOf({ ...many, targetKl: null });
    const free = await trainBatch(await engineAt(), patient, batch, contextOf(0.05, new Random(1)));
    expect(free.updates).toBe(50);
  });
});
