/** What a trainer has beside weights: a reference policy, rows of earlier batches, batches that are only looked at. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assembleBatch, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import { readCheckpoint } from "../../core/weights/checkpoint.js";
import { Ledger } from "../../services/learner/ledger.js";
import { freshStart, Trainer, type TrainerStart } from "../../services/learner/trainer.js";
import { BATCH_STEPS, batchOf, CONFIG, MODEL, newEngine } from "./training-fixture.js";

const START = freshStart(MODEL, CONFIG.run.seed);
const RATE = 0.01;

const withModifier = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ ...CONFIG.recipe, modifiers: [{ id, params }] });

/** One minibatch, so that what a batch reports is of the weights that sealed it. */
const PULLED: Recipe = resolveRecipe({
  id: "ppo",
  params: { batchSteps: BATCH_STEPS, epochs: 1, minibatches: 1 },
  modifiers: [{ id: "reference-kl", params: {} }],
});

async function trainerOf(
  recipe: Recipe,
  start: TrainerStart = START,
  refreshEvery: number | null = null,
): Promise<Trainer> {
  const reference = refreshEvery === null ? null : { engine: await newEngine(), refreshEvery };
  return new Trainer(recipe, await newEngine(), start, () => 0, reference);
}

/** Mean over the steps of batch k of e^{−D} + D − 1, D = log π − log π_ref, by two forward passes. */
async function distance(k: number, of: WeightsSnapshot, from: WeightsSnapshot): Promise<number> {
  const { steps, observations, actions } = assembleBatch(batchOf(k)).inputs;
  const logprobs = async (weights: WeightsSnapshot): Promise<Float32Array> => {
    const engine = await newEngine();
    engine.load(weights);
    return (await engine.forward({ steps, observations, actions }, ["logprob"])).logprob;
  };
  const [live, reference] = [await logprobs(of), await logprobs(from)];
  return live.reduce((sum, x, t) => sum + Math.exp(reference[t]! - x) + x - reference[t]! - 1, 0) / steps;
}

describe("a reference policy", () => {
  it("is the first one for as long as it is not refreshed", async () => {
    const trainer = await trainerOf(PULLED, START, 0);
    let before: WeightsSnapshot = START.weights;
    for (const k of [1, 2, 3]) {
      const { stats, weights } = await trainer.train(batchOf(k), RATE, k);
      const expected = await distance(k, before, START.weights);
      expect(Math.abs(stats["referenceKl"]! - expected)).toBeLessThan(1e-7);
      if (k > 1) expect(expected).toBeGreaterThan(1e-6);
      before = weights;
    }
    expect((await trainer.state()).reference).toEqual(START.weights.tensors);
  });

  it("becomes the policy of every so many versions", async () => {
    const trainer = await trainerOf(PULLED, START, 2);
    const versions: WeightsSnapshot[] = [START.weights];
    for (const k of [1, 2, 3, 4, 5]) {
      const { stats, weights } = await trainer.train(batchOf(k), RATE, k);
      const reference = versions[2 * Math.floor((k - 1) / 2)]!;
      const expected = await distance(k, versions[k - 1]!, reference);
      expect(Math.abs(stats["referenceKl"]! - expected), `batch ${k}`).toBeLessThan(1e-7);
      versions.push(weights);
    }
    expect((await trainer.state()).reference).toEqual(versions[4]!.tensors);
  });

  it("is asked for where a recipe needs one and there is none", async () => {
    const trainer = await trainerOf(PULLED);
    await expect(trainer.train(batchOf(1), RATE, 1)).rejects.toMatchObject({
      ...{ code: "RECIPE_INVALID", message: expect.stringContaining("set reference.policy") as string },
    });
    expect((await trainer.state()).reference).toEqual([]);
  });
});

describe("a reference policy in a checkpoint", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "skein-reference-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("comes back, and training goes on bit for bit as if it had never stopped", async () => {
    const [straight, before] = [await trainerOf(PULLED, START, 2), await trainerOf(PULLED, START, 2)];
    for (const k of [1, 2, 3]) {
      for (const trainer of [straight, before]) await trainer.train(batchOf(k), RATE, k);
    }
    const { weights, optimizer, random, trackers, reference } = await before.state();
    const writer = await CheckpointWriter.open(folder);
    const path = await writer.write(
      {
        ...{ config: CONFIG, weights, optimizer: optimizer.tensors, reference, outcomes: [] },
        state: {
          ...{ policyVersion: 3, updates: 3, envSteps: 72, episodes: 3, recentReturns: [] },
          ...{ ledger: new Ledger().state, random, trackers },
          optimizerSteps: optimizer.steps,
        },
      },
      3,
    );
    const back = await readCheckpoint(path);
    expect(back.reference).not.toEqual(back.weights.tensors);
    const after = await trainerOf(
      PULLED,
      {
        ...{
          weights: back.weights,
          optimizer: { steps: back.state.optimizerSteps, tensors: back.optimizer },
        },
        ...{ random: back.state.random, trackers: back.state.trackers, reference: back.reference },
      },
      2,
    );
    for (const k of [4, 5]) {
      expect(await after.train(batchOf(k), RATE, k)).toEqual(await straight.train(batchOf(k), RATE, k));
    }
    expect(await after.state()).toEqual(await straight.state());
  });
});

/** `recipe`, with every sealed batch kept in `seen`. */
function watched(recipe: Recipe, seen: Batch[]): Recipe {
  const look: Recipe["derive"][number] = {
    ...{ id: "look", when: "seal", needs: [], writes: [] },
    run: (batch) => {
      seen.push(batch);
      return {};
    },
  };
  return { ...recipe, derive: [look, ...recipe.derive] };
}

describe("replay", () => {
  it("adds rows of the batches before behind the new ones, as they came", async () => {
    const seen: Batch[] = [];
    const trainer = await trainerOf(
      watched(withModifier("replay", { replayShare: 0.5, replayBatches: 1 }), seen),
    );
    for (const k of [1, 2, 3]) await trainer.train(batchOf(k), RATE, k);
    // Share ½: as many old steps as new ones, from the one batch before; groups of fragments are numbered by batch.
    expect(seen.map(({ row }) => [...row["group"]!])).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2, 1, 1, 1, 1],
      [3, 3, 3, 3, 2, 2, 2, 2],
    ]);
    const again = seen[1]!.step["behaviorLogprobs"]!.slice(BATCH_STEPS);
    expect([...again].sort()).toEqual([...seen[0]!.step["behaviorLogprobs"]!].sort());
    expect(new Set(seen[1]!.step["rewards"]!.slice(BATCH_STEPS))).toEqual(new Set(seen[0]!.step["rewards"]));
  });

  it("shows trackers each row once", async () => {
    const [plain, replaying] = [
      await trainerOf(resolveRecipe(CONFIG.recipe)),
      await trainerOf(withModifier("replay")),
    ];
    for (const k of [1, 2, 3]) for (const one of [plain, replaying]) await one.train(batchOf(k), RATE, k);
    expect((await replaying.state()).trackers).toEqual((await plain.state()).trackers);
    expect((await replaying.state()).weights).not.toEqual((await plain.state()).weights);
  });

  it("says how old a step's policy is, whatever the first version is called", async () => {
    const seen: Batch[] = [];
    const trainer = await trainerOf(watched(withModifier("replay"), seen));
    await trainer.train(batchOf(1), RATE, 8);
    await trainer.train(batchOf(2), RATE, 9);
    // Everything was collected with version 0; versions 7 and 8 are at hand.
    expect(seen.map(({ step }) => [...new Set(step["policyLags"])])).toEqual([[7], [8]]);
  });
});

describe("batches that are only looked at", () => {
  it("change trackers and versions, and nothing else", async () => {
    const recipe = resolveRecipe(CONFIG.recipe);
    const observed: number[] = [];
    const [name, tracker] = Object.entries(recipe.trackers)[0]!;
    const conclude = (state: unknown, stats: Readonly<Record<string, number>>): unknown => {
      observed.push(Object.keys(stats).length);
      return state;
    };
    const trackers = { [name]: { ...tracker, conclude } };
    const trainer = await trainerOf({ ...recipe, trackers, update: { ...recipe.update, observeBatches: 2 } });
    for (const k of [1, 2]) {
      const trained = await trainer.train(batchOf(k), RATE, k);
      expect(trained).toMatchObject({ updates: 0, skipped: 0, stats: {} });
      expect(trained.weights).toEqual({ version: k, tensors: START.weights.tensors });
    }
    const { optimizer, random, trackers: states } = await trainer.state();
    expect(optimizer.steps).toBe(0);
    expect(random).toEqual(START.random);
    const plain = await trainerOf(recipe);
    for (const k of [1, 2]) await plain.train(batchOf(k), RATE, k);
    expect(states).toEqual((await plain.state()).trackers);
    const third = await trainer.train(batchOf(3), RATE, 3);
    expect(third.updates).toBe(6);
    expect(third.weights.tensors).not.toEqual(START.weights.tensors);
    expect(observed).toEqual([0, 0, expect.any(Number)]);
    expect(observed[2]).toBeGreaterThan(3);
  });
});
