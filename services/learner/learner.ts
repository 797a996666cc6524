/**
 * The learner's loop: wait for a batch, train, publish, report, checkpoint.
 *
 * The network is elsewhere (`Training`): while it trains, this thread goes on taking rollouts in.
 *
 * Always: version v is published only after all of batch v was applied with finite gradients kept and the others
 * skipped; a checkpoint is taken between batches and holds everything the next batch depends on.
 */
import type { RunConfig } from "../../core/config/schema.js";
import type { FinishReason, RunEvent } from "../../core/progress.js";
import type { Recipe } from "../../core/recipes/recipe.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { WeightsSnapshot } from "../../core/types.js";
import type { Checkpoint, TrainingState } from "../../core/weights/checkpoint.js";
import { checkpointHash, writeCheckpoint } from "../../core/weights/checkpoint.js";
import { unlessAborted } from "../../core/waiting.js";
import { EpisodeWindow } from "./episode-window.js";
import type { Batchful, Intake } from "./intake.js";
import { Rate } from "./rate.js";
import type { RunFolder } from "./run-folder.js";
import type { Training } from "./trainer.js";

/** The coordinator as the learner sees it: publish, and say how far things are. */
export interface Upstream {
  /** Hands out the learner's weights and the counts; returns the number of living actors. */
  advance(): Promise<number>;
}

export interface LearnerProgress {
  readonly policyVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  readonly meanReturn100: number;
}

export interface LearnerOptions {
  readonly config: RunConfig;
  readonly recipe: Recipe;
  readonly training: Training;
  /** Those that `training` begins with. */
  readonly weights: WeightsSnapshot;
  readonly intake: Intake;
  readonly folder: RunFolder;
  readonly metrics: LearnerMetrics;
  readonly emit: (event: RunEvent) => void;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
  readonly resumed: TrainingState | null;
}

export class Learner {
  private readonly episodes: EpisodeWindow;
  private readonly startedAt: number;
  private newest: WeightsSnapshot;
  private updates: number;
  private envSteps: number;
  private checkpointedVersion: number;
  private midBatch = false;

  constructor(private readonly options: LearnerOptions) {
    const { resumed, now, weights } = options;
    this.episodes = new EpisodeWindow(resumed?.recentReturns ?? [], resumed?.episodes ?? 0);
    this.newest = weights;
    this.updates = resumed?.updates ?? 0;
    this.envSteps = resumed?.envSteps ?? 0;
    this.checkpointedVersion = resumed?.policyVersion ?? -1;
    this.startedAt = now();
  }

  /** After the last whole batch, labelled with its version. */
  get weights(): WeightsSnapshot {
    return this.newest;
  }

  get progress(): LearnerProgress {
    const { policyVersion, updates, envSteps } = this;
    return { policyVersion, updates, envSteps, meanReturn100: this.episodes.meanReturn };
  }

  get wallSeconds(): number {
    return this.options.now() - this.startedAt;
  }

  /**
   * Trains until the run is solved, out of steps, or `stop` aborts; leaves a checkpoint behind either way. Where a
   * batch fails, the last checkpoint stays.
   */
  async run(upstream: Upstream, stop: AbortSignal): Promise<FinishReason> {
    try {
      return await this.loop(upstream, stop);
    } finally {
      if (!this.midBatch) await this.leaveCheckpoint();
    }
  }

  private get policyVersion(): number {
    return this.newest.version;
  }

  private async loop(upstream: Upstream, stop: AbortSignal): Promise<FinishReason> {
    const { metrics, now } = this.options;
    const steps = new Rate(now);
    const updates = new Rate(now);
    let reason = this.finishReason();
    let actors = 0;
    while (reason === null) {
      const waitedFrom = now();
      const batch = await this.nextBatch(stop);
      metrics.batchWaitSeconds.observe(now() - waitedFrom);
      if (batch === null) {
        reason = "stopped";
        break;
      }
      const stats = await this.train(batch);
      const publishedFrom = now();
      actors = (await unlessAborted(upstream.advance(), stop)) ?? actors;
      metrics.publishSeconds.observe(now() - publishedFrom);
      steps.add(this.envSteps);
      updates.add(this.updates);
      this.announce(batch, stats, actors, steps.perSecond, updates.perSecond);
      reason = this.finishReason();
      if (this.policyVersion % this.options.config.learner.checkpointEvery === 0)
        await this.write(await this.snapshot());
      metrics.policyVersion.set(this.policyVersion);
    }
    return reason;
  }

  private async nextBatch(stop: AbortSignal): Promise<Batchful | null> {
    const { config, intake, now } = this.options;
    if (config.stop.wallSeconds === null) return intake.next(stop);
    const left = Math.max(0, config.stop.wallSeconds - (now() - this.startedAt));
    return intake.next(AbortSignal.any([stop, AbortSignal.timeout(Math.ceil(left * 1000))]));
  }

  private async train(batchful: Batchful): Promise<Readonly<Record<string, number>>> {
    const { training, intake, metrics, log, now } = this.options;
    const { rollouts, steps } = batchful;
    // Read before the rollouts are moved away.
    const returns = rollouts.map(({ columns }) => columns.rowCounters["episodeReturn"]?.slice());
    const from = now();
    this.midBatch = true;
    const result = await training.train(rollouts, this.learningRate());
    this.midBatch = false;
    this.newest = result.weights;
    intake.advance(this.policyVersion);
    for (const part of returns) this.episodes.add(part);
    this.updates += result.updates;
    this.envSteps += steps;
    const { seconds } = result;
    log.debug({ version: this.policyVersion, seconds, ...result.stats }, "batch trained");
    metrics.updateSeconds.observe(now() - from);
    metrics.assembleSeconds.observe(seconds.assemble);
    metrics.evaluateSeconds.observe(seconds.evaluate);
    metrics.deriveSeconds.observe(seconds.derive);
    metrics.engineUpdateSeconds.observe(seconds.update);
    metrics.envSteps.inc(steps);
    metrics.updates.inc(result.updates);
    metrics.trainedRollouts.inc(rollouts.length);
    if (result.skipped > 0) {
      metrics.skippedUpdates.inc(result.skipped);
      this.options.emit({
        event: "notice",
        level: "warn",
        message: `${result.skipped} updates of version ${this.policyVersion} were skipped: their gradient was not finite`,
      });
    }
    return result.stats;
  }

  /** The one in force for the next batch. */
  private learningRate(): number {
    const { config, recipe } = this.options;
    const { anneal, learningRate } = recipe.update;
    return anneal ? learningRate * Math.max(0, 1 - this.envSteps / config.stop.envSteps) : learningRate;
  }

  private announce(
    batch: Batchful,
    stats: Readonly<Record<string, number>>,
    actors: number,
    envStepsPerSecond: number,
    updatesPerSecond: number,
  ): void {
    const { config, folder, metrics, emit } = this.options;
    const { policyLagMean, policyLagMax } = batch;
    const event = {
      event: "progress",
      envSteps: this.envSteps,
      envStepsPerSecond,
      updates: this.updates,
      updatesPerSecond,
      policyVersion: this.policyVersion,
      policyLagMean,
      policyLagMax,
      episodes: this.episodes.count,
      meanReturn100: this.episodes.meanReturn,
      actors,
      wallSeconds: this.wallSeconds,
      etaSeconds: Math.max(0, config.stop.envSteps - this.envSteps) / envStepsPerSecond,
      stats,
    } as const;
    folder.record(event);
    emit(event);
    metrics.meanReturn.set(event.meanReturn100);
    metrics.policyLagMean.set(policyLagMean);
    metrics.policyLagMax.set(policyLagMax);
    for (const [name, value] of Object.entries(stats)) metrics.lossStats.set(name, value);
  }

  private finishReason(): FinishReason | null {
    const { stop } = this.options.config;
    if (stop.meanReturn !== null && this.episodes.full && this.episodes.meanReturn >= stop.meanReturn)
      return "solved";
    if (this.envSteps >= stop.envSteps) return "steps";
    if (stop.wallSeconds !== null && this.wallSeconds >= stop.wallSeconds) return "stopped";
    return null;
  }

  private async snapshot(): Promise<Checkpoint> {
    const { config, training, intake } = this.options;
    const { weights, optimizer, random, trackers } = await training.state();
    return {
      config,
      weights,
      optimizer: optimizer.tensors,
      state: {
        policyVersion: this.policyVersion,
        updates: this.updates,
        envSteps: this.envSteps,
        episodes: this.episodes.count,
        recentReturns: this.episodes.returns,
        disposedSteps: intake.disposedSteps,
        seatSequences: intake.disposedSequences,
        random,
        trackers,
        optimizerSteps: optimizer.steps,
      },
    };
  }

  private async leaveCheckpoint(): Promise<void> {
    const snapshot = await this.snapshot();
    if (this.checkpointedVersion !== this.policyVersion) await this.write(snapshot);
    this.options.emit({
      event: "notice",
      level: "info",
      message: `checkpoint of version ${this.policyVersion}: sha256 ${checkpointHash(snapshot)}`,
    });
  }

  private async write(snapshot: Checkpoint): Promise<void> {
    const { config, folder, metrics, log, now } = this.options;
    const from = now();
    const path = await writeCheckpoint(folder.checkpoints, snapshot, config.learner.keepCheckpoints);
    log.info({ path, seconds: now() - from }, "checkpoint written");
    await folder.drawCurve();
    this.checkpointedVersion = this.policyVersion;
    metrics.checkpointSeconds.observe(now() - from);
    metrics.lastCheckpointTimestamp.set(Date.now() / 1000);
  }
}
