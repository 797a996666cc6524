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
import { assembleBatch } from "../../core/slots/batch.js";
import type { Readings, Recipe, Tracker } from "../../core/slots/recipe.js";
import type { NamedTensor, Rollout, WeightsSnapshot } from "../../core/types.js";
import { ReplayBuffer } from "./replay-buffer.js";
import { TimedEngine } from "./timed-engine.js";
import { trainBatch, type BatchResult } from "./train-batch.js";
import { UnfinishedRows } from "./unfinished-rows.js";

/** What a trainer begins with. */
export interface TrainerStart {
  /** Labelled with their version. */
  readonly weights: WeightsSnapshot;
  /** null = no step taken yet */
  readonly optimizer: OptimizerState | null;
  readonly random: RandomState;
  /** State of each of the recipe's trackers by name; one that is missing begins anew. */
  readonly trackers: Readonly<Record<string, unknown>>;
  /** Weights of the reference policy; empty = the recipe has none. */
  readonly reference: readonly NamedTensor[];
}

/** A policy that ratios and penalties are measured against. */
export interface ReferencePolicy {
  readonly engine: Engine;
  /** Versions after which it becomes the policy of then; 0 = never. */
  readonly refreshEvery: number;
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
  /** The recipe: derived columns, loss and cotangents. */
  readonly derive: number;
  /** Choosing minibatches and laying them out. */
  readonly minibatch: number;
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
  const weights = initialWeights(model, seed);
  return { weights, optimizer: null, random, trackers: {}, reference: weights.tensors };
}

const NOT_TRAINED: BatchResult = { updates: 0, skipped: 0, stats: {}, lastPass: {}, sealSeconds: 0 };

export class Trainer implements Training {
  private readonly engine: TimedEngine;
  private readonly random: Random;
  private readonly trackers: Map<string, unknown>;
  private readonly replay: ReplayBuffer | null;
  private readonly unfinished: UnfinishedRows | null;
  /** Of the weights at hand, as the caller counts. */
  private version: number;

  /** `now` in seconds of a steady clock. Throws CHECKPOINT_MISMATCH where `start` is of another model. */
  constructor(
    private readonly recipe: Recipe,
    engine: Engine,
    start: TrainerStart,
    private readonly now: () => number,
    private readonly reference: ReferencePolicy | null = null,
  ) {
    engine.load(start.weights);
    if (start.optimizer !== null) engine.loadOptimizerState(start.optimizer);
    reference?.engine.load({ version: start.weights.version, tensors: start.reference });
    this.engine = new TimedEngine(engine, now);
    this.replay = recipe.replay === undefined ? null : new ReplayBuffer(recipe.replay);
    this.unfinished = recipe.keepUnfinished === undefined ? null : new UnfinishedRows(recipe.keepUnfinished);
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
    const { forwardSeconds, updateSeconds, lossSeconds } = engine;
    const from = now();
    const fresh = assembleBatch(rollouts, version - 1);
    this.track((tracker, state) => tracker.observe(state, fresh));
    const again = this.replay?.draw(rollouts, this.random) ?? [];
    const whole = again.length === 0 ? fresh : assembleBatch([...rollouts, ...again], version - 1);
    const batch = this.unfinished?.join(whole) ?? whole;
    const assembled = now();
    const result =
      version <= (recipe.update.observeBatches ?? 0)
        ? NOT_TRAINED
        : await trainBatch(engine, recipe, batch, {
            readings: this.readings(),
            reference: this.reference?.engine ?? null,
            learningRate,
            random: this.random,
            now,
          });
    this.track((tracker, state) => tracker.conclude?.(state, result.stats, result.lastPass) ?? state);
    this.version = version;
    this.refreshReference();
    const evaluate = engine.forwardSeconds - forwardSeconds;
    const update = engine.updateSeconds - updateSeconds;
    const derive = result.sealSeconds + engine.lossSeconds - lossSeconds;
    const minibatch = Math.max(0, now() - assembled - evaluate - derive - update);
    return {
      ...result,
      seconds: { assemble: assembled - from, evaluate, derive, minibatch, update },
      weights: this.weights,
    };
  }

  state(): Promise<TrainerState> {
    return Promise.resolve({
      weights: this.weights,
      optimizer: this.engine.optimizerState(),
      random: this.random.state(),
      trackers: Object.fromEntries(this.trackers),
      reference: this.reference?.engine.weights(this.version).tensors ?? [],
    });
  }

  close(): void {
    this.engine.close();
    this.reference?.engine.close();
  }

  private refreshReference(): void {
    if (this.reference === null) return;
    const { engine, refreshEvery } = this.reference;
    if (refreshEvery > 0 && this.version % refreshEvery === 0) engine.load(this.weights);
  }

  private track(change: (tracker: Tracker, state: unknown) => unknown): void {
    for (const [name, tracker] of Object.entries(this.recipe.trackers)) {
      this.trackers.set(name, change(tracker, this.trackers.get(name)));
    }
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
