/**
 * When checkpoints are written, and what happens where one cannot be: the run goes on, its older checkpoints stay, and
 * the next one that is due is tried as ever. Senders that wait for a checkpoint wait on meanwhile.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { NoticeEvent } from "../../core/progress.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import { checkpointHash, type Checkpoint } from "../../core/weights/checkpoint.js";
import type { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import type { Settlements } from "./settlements.js";

export interface CheckpointsOptions {
  readonly settings: Pick<RunConfig["learner"], "checkpointEvery" | "keepCheckpoints">;
  readonly writer: CheckpointWriter;
  readonly settlements: Settlements;
  readonly metrics: LearnerMetrics;
  readonly notice: (event: NoticeEvent) => void;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

export class Checkpoints {
  constructor(private readonly options: CheckpointsOptions) {}

  isDue(version: number): boolean {
    return version % this.options.settings.checkpointEvery === 0;
  }

  /** Writes one, or says why not. Throws REFUSED where another learner goes on in this folder. */
  async save(checkpoint: Checkpoint): Promise<void> {
    const { settings, settlements, metrics, notice } = this.options;
    try {
      await this.write(checkpoint);
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code !== "CHECKPOINT_UNWRITABLE") throw error;
      metrics.failedCheckpoints.inc();
      const { checkpointVersion: kept } = settlements;
      const stays = kept < 0 ? "there is none yet" : `that of version ${kept} stays the newest`;
      const next = checkpoint.state.policyVersion + settings.checkpointEvery;
      notice({
        event: "notice",
        level: "warn",
        code: error.code,
        message: `${error.message}. The run goes on: ${stays}; tried again at version ${next}`,
      });
    }
  }

  /** The last one of a run. Throws where it cannot be written. */
  async leave(checkpoint: Checkpoint): Promise<void> {
    const { policyVersion } = checkpoint.state;
    if (this.options.settlements.checkpointVersion !== policyVersion) await this.write(checkpoint);
    this.options.notice({
      event: "notice",
      level: "info",
      message: `checkpoint of version ${policyVersion}: sha256 ${checkpointHash(checkpoint)}`,
    });
  }

  private async write(checkpoint: Checkpoint): Promise<void> {
    const { writer, settings, settlements, metrics, log, now } = this.options;
    const from = now();
    const path = await writer.write(checkpoint, settings.keepCheckpoints);
    settlements.saved(checkpoint.state.policyVersion);
    log.info({ path, seconds: now() - from }, "checkpoint written");
    metrics.checkpointSeconds.observe(now() - from);
    metrics.lastCheckpointTimestamp.set(Date.now() / 1000);
  }
}
