/** The training thread as the learner's main thread sees it. */
import type { Piscina } from "piscina";
import type { RunConfig } from "../../core/config/schema.js";
import { ThreadLine, threadPool } from "../../core/threads/line.js";
import type { Rollout, WeightsSnapshot } from "../../core/types.js";
import { settledWithin } from "../../core/waiting.js";
import type { FromThread, ToThread } from "./messages.js";
import type { TrainedBatch, TrainerState, Training } from "./trainer.js";

/** Longest that a learner which ends waits for the thread to free its engine; then the thread is ended. */
const STOP_SECONDS = 5;

export class TrainingLine implements Training {
  private constructor(
    /** The engine that runs, and on what. */
    readonly engine: string,
    readonly engineDetail: string,
    /** Numbers of memory that the network carries from step to step. */
    readonly stateWidth: number,
    /** Those that training begins with. */
    readonly weights: WeightsSnapshot,
    private readonly pool: Piscina,
    private readonly line: ThreadLine<ToThread, FromThread>,
  ) {}

  /** Starts the thread; resolves when its engine is ready, rejects with what it failed with. */
  static async start(config: RunConfig, resumed: TrainerState | null): Promise<TrainingLine> {
    const pool = threadPool(new URL("./training-thread.js", import.meta.url), 1);
    try {
      const start = { config, resumed };
      const { line, ready } = await ThreadLine.start<ToThread, FromThread>(pool, "training thread", start);
      return new TrainingLine(ready.engine, ready.detail, ready.stateWidth, ready.weights, pool, line);
    } catch (error) {
      await pool.destroy();
      throw error;
    }
  }

  /** Rejects when the thread fails or dies. */
  get failed(): Promise<never> {
    return this.line.failed;
  }

  /** Moves the rollouts: their arrays are empty afterwards. */
  async train(rollouts: readonly Rollout[], learningRate: number, version: number): Promise<TrainedBatch> {
    const message = { kind: "train", rollouts, learningRate, version } as const;
    return (await this.line.ask(message, "trained", rollouts)).batch;
  }

  async state(): Promise<TrainerState> {
    return (await this.line.ask({ kind: "state" }, "state")).state;
  }

  async close(): Promise<void> {
    await settledWithin(this.line.stop(), STOP_SECONDS);
    await this.pool.destroy();
  }
}
