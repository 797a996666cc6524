/** What the tests of training share: a small run on CartPole's spaces, and rollouts that need no environment. */
import { parseRunConfig } from "../../core/config/load.js";
import type { RunConfig } from "../../core/config/schema.js";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import { box, discrete } from "../../core/env/spaces.js";
import { Random } from "../../core/random.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { StopReason, type Rollout } from "../../core/types.js";
import { smallRollout } from "./fixture.js";
import type { BatchContext } from "../../services/learner/train-batch.js";
import { freshStart, Trainer, type TrainerStart } from "../../services/learner/trainer.js";

export const BATCH_STEPS = 24;

/** What a batch is trained with, without trackers or a reference. */
export function contextOf(learningRate: number, random: Random): BatchContext {
  return { readings: {}, reference: null, learningRate, random, now: () => 0 };
}

/** Two rollouts of a batch, scaled rewards (a tracker), several minibatches (random state), annealed. */
export const CONFIG: RunConfig = parseRunConfig(
  {
    run: { name: "small", seed: 5 },
    environment: { id: "CartPole-v1" },
    recipe: {
      params: { batchSteps: BATCH_STEPS, epochs: 2, minibatches: 3, scaleRewards: true, learningRate: 0.01 },
    },
    model: { hidden: [6] },
    engine: "tfjs:wasm",
    learner: { checkpointEvery: 2 },
    stop: { envSteps: 6 * BATCH_STEPS },
  },
  "test",
);

export const RECIPE = resolveRecipe(CONFIG.recipe);

export const MODEL = createModel({
  ...CONFIG.model,
  observationSpace: box([4], -1, 1),
  actionSpace: discrete(2),
});

export async function newEngine(): Promise<Engine> {
  return (await createEngine(CONFIG.engine, MODEL)).engine;
}

export async function newTrainer(start: TrainerStart = freshStart(MODEL, CONFIG.run.seed)): Promise<Trainer> {
  return new Trainer(RECIPE, await newEngine(), start, () => 0);
}

/** Fragment `sequence` of `seat`: two rows, the first of which ends an episode. The same numbers at every call. */
export function randomRollout(seat: number, sequence: number): Rollout {
  const steps = BATCH_STEPS / 2;
  const random = new Random(1000 * seat + sequence);
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return {
    ...smallRollout({ seat, group: sequence }),
    columns: {
      ...{ observationWidth: 4, actionWidth: 1, actionMaskWidth: 0, stateWidth: 0 },
      offsets: Uint32Array.of(0, 5, steps),
      observations: normals(4 * steps),
      actions: Int32Array.from({ length: steps }, () => random.integer(2)),
      behaviorLogprobs: new Float32Array(steps).fill(Math.log(0.5)),
      rewards: normals(steps),
      mask: new Uint8Array(steps).fill(1),
      versionRunLengths: Uint32Array.of(steps),
      versionRunValues: Uint32Array.of(0),
      actionMasks: new Uint8Array(0),
      ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
      postObservations: new Float32Array(0),
      initialStates: new Float32Array(0),
      finalObservations: normals(8),
      terminated: Uint8Array.of(1, 0),
      truncated: new Uint8Array(2),
      stopReasons: Uint8Array.of(StopReason.terminated, StopReason.fragment),
      trajectoryIds: Uint32Array.of(sequence, sequence + 1),
      seeds: new Uint32Array(2),
      stepExtras: {},
      rowCounters: { episodeReturn: Float32Array.of(sequence, Number.NaN) },
    },
  };
}

/** The rollouts of batch k, from 1. */
export const batchOf = (k: number): Rollout[] => [randomRollout(0, k), randomRollout(1, k)];
