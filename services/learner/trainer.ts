/**
 * Everything that learns: recipe, engine, trackers and random state. Knows no thread, network, file or counter of
 * the run.
 *
 * Always: one call at a time; a state is that of a whole number of batches.
 */
import type { Engine, OptimizerState } from "../../core/engine/engine.js";
import { initialWeights } from "../../core/model/init.js";
import type { Model } from "../../core/model/model.js";
import { deriveSeed, Random, type RandomState } from "../../core/random.js";
import { assembleBatch } from "../../core/recipes/batch.js";
import type { Readings, Recipe } from "../../core/recipes/recipe.js";
import type { Rollout, WeightsSnapshot } from "../../core/types.js";
import { TimedEngine } from "./timed-engine.js";
import { trainBatch, type BatchResult } from "./train-batch.js";

/** What a trainer begins with. */
export interface TrainerStart {
  /** Labelled with their version. */
  readonly weights: WeightsSnapshot;
  /** null = no step taken yet */
  readonly optimizer: OptimizerState | null;
  readonly random: RandomState;
  /** State of each of the recipe's trackers by name; one that is missing begins anew. */
  readonly trackers: Readonly<Record<string, unknown>>;
}

/** What a trainer that goes on in exactly the same way begins with. */
export interface TrainerState extends TrainerStart {
  readonly optimizer: OptimizerState;
}

/** Where the time of one batch went, seconds; together the whole of it. */
export interface BatchSeconds {
  /** Joining rollouts, observing trackers. */
  readonly assemble: number;
  /** The engine, forward over the sealed batch. */
  readonly evaluate: number;
  /** Deriving columns, choosing minibatches, loss and cotangents: arithmetic outside the engine. */
  readonly derive: number;
  /** The engine, updates over all epochs and minibatches. */
  readonly update: number;
}

export interface TrainedBatch extends BatchResult {
  readonly seconds: BatchSeconds;
  /** After the batch, labelled with the version that it made. */
  readonly weights: WeightsSnapshot;
}

/** Trains batch after batch, in this thread or another. After a batch that failed there is no state to go on from. */
export interface Training {
  /** May take the rollouts' arrays away from the caller. `version` is the one that this batch makes. */
  train(rollouts: readonly Rollout[], learningRate: number, version: number): Promise<TrainedBatch>;
  state(): Promise<TrainerState>;
}

/** Version 0 of `model`. */
export function freshStart(model: Model, seed: number): TrainerStart {
  const random = new Random(deriveSeed(seed, "learner")).state();
  return { weights: initialWeights(model, seed), optimizer: null, random, trackers: {} };
}

export class Trainer implements Training {
  private readonly engine: TimedEngine;
  private readonly random: Random;
  private readonly trackers: Map<string, unknown>;
  /** Of the weights at hand, as the caller counts. */
  private version: number;

  /** `now` in seconds of a steady clock. Throws CHECKPOINT_MISMATCH where `start` is of another model. */
  constructor(
    private readonly recipe: Recipe,
    engine: Engine,
    start: TrainerStart,
    private readonly now: () => number,
  ) {
    engine.load(start.weights);
    if (start.optimizer !== null) engine.loadOptimizerState(start.optimizer);
    this.engine = new TimedEngine(engine, now);
    this.random = Random.fromState(start.random);
    this.version = start.weights.version;
    this.trackers = new Map(
      Object.entries(recipe.trackers).map(([name, { initial }]) => [name, start.trackers[name] ?? initial]),
    );
  }

  /** A copy. */
  get weights(): WeightsSnapshot {
    return this.engine.weights(this.version);
  }

  async train(rollouts: readonly Rollout[], learningRate: number, version: number): Promise<TrainedBatch> {
    const { recipe, engine, now } = this;
    const { forwardSeconds, updateSeconds } = engine;
    const from = now();
    const batch = assembleBatch(rollouts);
    for (const [name, tracker] of Object.entries(recipe.trackers)) {
      this.trackers.set(name, tracker.observe(this.trackers.get(name), batch));
    }
    const assembled = now();
    const result = await trainBatch(engine, recipe, batch, this.readings(), learningRate, this.random);
    this.version = version;
    const evaluate = engine.forwardSeconds - forwardSeconds;
    const update = engine.updateSeconds - updateSeconds;
    const derive = Math.max(0, now() - assembled - evaluate - update);
    return {
      ...result,
      seconds: { assemble: assembled - from, evaluate, derive, update },
      weights: this.weights,
    };
  }

  state(): Promise<TrainerState> {
    return Promise.resolve({
      weights: this.weights,
      optimizer: this.engine.optimizerState(),
      random: this.random.state(),
      trackers: Object.fromEntries(this.trackers),
    });
  }

  close(): void {
    this.engine.close();
  }

  private readings(): Readings {
    return Object.fromEntries(
      Object.entries(this.recipe.trackers).map(([name, tracker]) => [
        name,
        tracker.read(this.trackers.get(name)),
      ]),
    );
  }
}
