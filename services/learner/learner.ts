/**
 * The learner's loop: wait for a batch, train, publish, report, checkpoint.
 *
 * The network is elsewhere (`Training`): while it trains, this thread goes on taking rollouts in.
 *
 * Always: version v is published only after all of batch v was applied with finite gradients kept and the others
 * skipped, and only where every weight is finite; a checkpoint is taken between batches, after its version was
 * published, and holds everything the next batch depends on. A learner that was shut out writes none: another goes on
 * from the earlier ones.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { FinishReason, RunEvent } from "../../core/progress.js";
import type { Recipe } from "../../core/slots/recipe.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { LearnerStage } from "../../core/telemetry/tables/learner.js";
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { StageClock } from "../../core/telemetry/stage-clock.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { unlessAborted } from "../../core/waiting.js";
import type { Watchdog } from "../../core/watchdog.js";
import type { Checkpoint, TrainingState } from "../../core/weights/checkpoint.js";
import { recordBatch } from "./batch-metrics.js";
import type { Batchful } from "./batchful.js";
import type { Checkpoints } from "./checkpoints.js";
import { allFinite } from "./rollout-check.js";
import { EpisodeWindow } from "./episode-window.js";
import type { Intake } from "./intake.js";
import type { Ledger } from "./ledger.js";
import { Rate } from "./rate.js";
import type { RunFolder } from "./run-folder.js";
import type { Settlements } from "./settlements.js";
import type { Training } from "./trainer.js";

/** A learner that has waited this long for a batch looks for what may keep rollouts away. */
const STARVED_SECONDS = 5;

/** The coordinator as the learner sees it: publish, and say how far things are. */
export interface Upstream {
  /** Hands out the learner's weights and outcomes; returns the number of living actors. */
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
  readonly ledger: Ledger;
  readonly settlements: Settlements;
  readonly checkpoints: Checkpoints;
  readonly folder: RunFolder;
  readonly metrics: LearnerMetrics;
  readonly time: StageClock<LearnerStage>;
  readonly watchdog: Pick<Watchdog, "progress" | "waiting">;
  readonly emit: (event: RunEvent) => void;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
  readonly resumed: TrainingState | null;
}

/** The coordinator, or the run folder, belongs to another learner now. */
function isShutOut(reason: unknown): boolean {
  return reason instanceof SkeinError && reason.code === "REFUSED";
}

export class Learner {
  private readonly episodes: EpisodeWindow;
  private readonly startedAt: number;
  private newest: WeightsSnapshot;
  private updates: number;
  private envSteps: number;
  private midBatch = false;

  constructor(private readonly options: LearnerOptions) {
    const { resumed, now, weights } = options;
    this.episodes = new EpisodeWindow(resumed?.recentReturns ?? [], resumed?.episodes ?? 0);
    this.newest = weights;
    this.updates = resumed?.updates ?? 0;
    this.envSteps = resumed?.envSteps ?? 0;
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

  /** The weights at hand count as `version` from now on, and rollouts are judged by it. */
  begin(version: number): void {
    const { intake, log, resumed } = this.options;
    log.info({ version: resumed?.policyVersion ?? 0, goesOnAs: version }, "begins");
    this.newest = { ...this.newest, version };
    intake.begin(version);
  }

  /**
   * Trains until the run is solved, out of steps, or `stop` aborts; leaves a checkpoint behind either way. Where a
   * batch fails or another learner has taken over, the last checkpoint stays.
   */
  async run(upstream: Upstream, stop: AbortSignal): Promise<FinishReason> {
    let shutOut = false;
    try {
      return await this.loop(upstream, stop);
    } catch (error) {
      shutOut = isShutOut(error);
      throw error;
    } finally {
      if (!this.midBatch && !shutOut && !isShutOut(stop.reason)) {
        this.options.time.enter("checkpointing");
        await this.options.checkpoints.leave(await this.snapshot());
      }
      this.options.time.count();
    }
  }

  private get policyVersion(): number {
    return this.newest.version;
  }

  private async loop(upstream: Upstream, stop: AbortSignal): Promise<FinishReason> {
    const { metrics, now, time, checkpoints } = this.options;
    const steps = new Rate(now);
    const updates = new Rate(now);
    let reason = this.finishReason();
    let actors = 0;
    while (reason === null) {
      time.enter("waiting");
      const waitedFrom = now();
      const batch = (await this.nextBatch(stop, STARVED_SECONDS)) ?? (await this.relievedBatch(stop));
      metrics.batchWaitSeconds.observe(now() - waitedFrom);
      if (batch === null) {
        reason = "stopped";
        break;
      }
      time.enter("training");
      const stats = await this.train(batch);
      time.enter("publishing");
      const publishedFrom = now();
      actors = (await unlessAborted(this.advance(upstream), stop)) ?? actors;
      metrics.publishSeconds.observe(now() - publishedFrom);
      steps.add(this.envSteps);
      updates.add(this.updates);
      this.announce(batch, stats, actors, steps.perSecond, updates.perSecond);
      reason = this.finishReason();
      if (checkpoints.isDue(this.policyVersion)) await this.checkpoint();
      metrics.policyVersion.set(this.policyVersion);
    }
    return reason;
  }

  /**
   * A batch however long it takes. Actors may be full of rollouts that a checkpoint would let them forget: where there
   * are such, one is written first.
   */
  private async relievedBatch(stop: AbortSignal): Promise<Batchful | null> {
    const { settlements, time } = this.options;
    if (settlements.awaitCheckpoint && !stop.aborted) {
      await this.checkpoint();
      time.enter("waiting");
    }
    return this.nextBatch(stop, Infinity);
  }

  /** null = `stop` has aborted, or `seconds` or the run's time are over. */
  private async nextBatch(stop: AbortSignal, seconds: number): Promise<Batchful | null> {
    const { config, intake, watchdog, now } = this.options;
    const found = watchdog.waiting("the next batch", "rollouts of the actors");
    const ofRun = (config.stop.wallSeconds ?? Infinity) - (now() - this.startedAt);
    const left = Math.max(0, Math.min(seconds, ofRun));
    try {
      if (left === Infinity) return await intake.next(stop);
      return await intake.next(AbortSignal.any([stop, AbortSignal.timeout(Math.ceil(left * 1000))]));
    } finally {
      found();
    }
  }

  private async checkpoint(): Promise<void> {
    const { time, checkpoints, folder } = this.options;
    time.enter("checkpointing");
    await checkpoints.save(await this.snapshot());
    await folder.drawCurve();
  }

  private async advance(upstream: Upstream): Promise<number> {
    const { policyVersion } = this;
    this.options.log.debug({ version: policyVersion }, "publishing weights");
    const told = this.options.watchdog.waiting(`version ${policyVersion}`, "the coordinator");
    try {
      return await upstream.advance();
    } finally {
      told();
    }
  }

  private async train(batchful: Batchful): Promise<Readonly<Record<string, number>>> {
    const { training, intake, metrics, log, now, watchdog } = this.options;
    const { rollouts, steps, filteredReturns } = batchful;
    // Read before the rollouts are moved away.
    const returns = rollouts.map(({ columns }) => columns.rowCounters["episodeReturn"]?.slice());
    const from = now();
    this.midBatch = true;
    const trained = watchdog.waiting(`a batch of ${steps} steps`, "the training thread");
    const result = await training.train(rollouts, this.learningRate(), this.policyVersion + 1);
    trained();
    expectFinite(result.weights);
    this.midBatch = false;
    this.newest = result.weights;
    const { seconds } = result;
    const ids = rollouts.map(({ rolloutId }) => rolloutId);
    log.debug({ version: this.policyVersion, rollouts: ids, seconds, ...result.stats }, "batch trained");
    intake.trained(this.policyVersion);
    watchdog.progress();
    for (const part of [...filteredReturns, ...returns]) this.episodes.add(part);
    this.updates += result.updates;
    this.envSteps += steps;
    recordBatch(metrics, batchful, result, now() - from);
    if (result.skipped > 0) {
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
    const event = {
      event: "progress",
      envSteps: this.envSteps,
      envStepsPerSecond,
      updates: this.updates,
      updatesPerSecond,
      policyVersion: this.policyVersion,
      policyLagMean: batch.policyLag.mean,
      policyLagMax: batch.policyLag.max,
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
    const { config, training, ledger, settlements } = this.options;
    const { weights, optimizer, random, trackers, reference } = await training.state();
    return {
      config,
      weights: { ...weights, version: this.policyVersion },
      optimizer: optimizer.tensors,
      reference,
      outcomes: settlements.unconfirmedDone,
      state: {
        policyVersion: this.policyVersion,
        updates: this.updates,
        envSteps: this.envSteps,
        episodes: this.episodes.count,
        recentReturns: this.episodes.returns,
        ledger: ledger.state,
        random,
        trackers,
        optimizerSteps: optimizer.steps,
      },
    };
  }
}

/** Throws DIVERGED. */
function expectFinite({ version, tensors }: WeightsSnapshot): void {
  const broken = tensors.find(({ data }) => data instanceof Float32Array && !allFinite(data));
  if (broken === undefined) return;
  throw new SkeinError(
    "DIVERGED",
    `version ${version}: the weights ${broken.name} are not finite any more; it is not published, and the last ` +
      "checkpoint stays: lower the recipe's learningRate or maxGradNorm",
  );
}
