/** Builds what a learner consists of from its run file and, when it resumes, its newest checkpoint. */
import { join } from "node:path";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { steadySeconds, type Keep, type ServiceHost } from "../../core/services.js";
import type { Health } from "../../core/telemetry/http.js";
import type { LearnerStage } from "../../core/telemetry/tables/learner.js";
import { createLearnerMetrics, type LearnerMetrics } from "../../core/telemetry/metrics.js";
import { StageClock } from "../../core/telemetry/stage-clock.js";
import type { Watchdog } from "../../core/watchdog.js";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import { loadEnvironment } from "../../envs/index.js";
import { Books } from "./books.js";
import { Checkpoints } from "./checkpoints.js";
import { Intake } from "./intake.js";
import { Learner } from "./learner.js";
import { Ledger } from "./ledger.js";
import { RolloutCheck } from "./rollout-check.js";
import { RunFolder } from "./run-folder.js";
import { Settlements } from "./settlements.js";
import type { TrainerState } from "./trainer.js";
import { TrainingLine } from "./training-line.js";

/**
 * The newest checkpoint of a run folder that is whole; `warn` is told of damaged ones. Throws RUN_FOLDER where there is
 * none, CHECKPOINT_UNREADABLE where all are damaged.
 */
async function newestCheckpoint(runFolder: string, warn: (message: string) => void): Promise<Checkpoint> {
  const paths = await listCheckpoints(join(runFolder, "checkpoints"));
  for (;;) {
    const newest = paths.pop();
    if (newest === undefined) {
      throw new SkeinError(
        "RUN_FOLDER",
        `--resume: no checkpoint in ${runFolder}; start the run without --resume`,
      );
    }
    try {
      return await readCheckpoint(newest);
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code !== "CHECKPOINT_UNREADABLE" || paths.length === 0)
        throw error;
      warn(`${error.message}; going on from the one before it`);
    }
  }
}

/** What a checkpoint holds of training itself. */
function trainerStateOf({ weights, optimizer, reference, state }: Checkpoint): TrainerState {
  const { random, trackers, optimizerSteps } = state;
  return { weights, optimizer: { steps: optimizerSteps, tensors: optimizer }, random, trackers, reference };
}

export interface LearnerPlace {
  readonly runFolder: string;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume: boolean;
}

export interface BuiltLearner {
  readonly learner: Learner;
  readonly training: TrainingLine;
  readonly intake: Intake;
  readonly settlements: Settlements;
  /** Brings the time that passes into the metrics; to be called now and then. */
  readonly time: StageClock<LearnerStage>;
  readonly metrics: LearnerMetrics;
  readonly health: () => Health;
}

/** Takes the run folder's checkpoints over from any learner before. */
export async function buildLearner(
  { runId, config }: { readonly runId: string; readonly config: RunConfig },
  { runFolder, resume }: LearnerPlace,
  { emit, log }: ServiceHost,
  watchdog: Watchdog,
  keep: Keep,
): Promise<BuiltLearner> {
  const { spec } = await loadEnvironment(config.environment, process.cwd());
  const recipe = resolveRecipe(config.recipe);
  const writer = keep(await CheckpointWriter.open(join(runFolder, "checkpoints")));
  const notice = (level: "info" | "warn", message: string): void => emit({ event: "notice", level, message });
  const checkpoint = resume ? await newestCheckpoint(runFolder, (text) => notice("warn", text)) : null;
  const state = checkpoint === null ? null : trainerStateOf(checkpoint);
  const training = keep(await TrainingLine.start(config, state));
  const { engine, engineDetail, weights, stateWidth } = training;
  notice("info", `engine ${engine}: ${engineDetail}`);
  const metrics = createLearnerMetrics();
  const resumed = checkpoint?.state ?? null;
  const ledger = new Ledger(resumed?.ledger);
  const settlements = new Settlements(resumed?.policyVersion ?? -1, checkpoint?.outcomes);
  const groupSize = config.groups?.size ?? null;
  const intake = new Intake({
    sampler: recipe.sampler,
    maxPolicyLag: config.staleness.maxPolicyLag,
    seats: config.deterministic ? config.actors.processes * config.actors.threads : null,
    groupSize,
    ack: config.learner.ack,
    check: new RolloutCheck({ runId, spec, stateWidth, groupSize }),
    ledger,
    books: new Books(ledger, settlements, metrics),
    metrics,
    progress: () => watchdog.progress(),
    notice: (message) => notice("warn", message),
  });
  const folder = keep(
    await RunFolder.open(runFolder, {
      config,
      environmentId: spec.id,
      fromEnvSteps: resumed?.envSteps ?? 0,
      warn: (message) => notice("warn", message),
    }),
  );
  const now = steadySeconds;
  const time = new StageClock<LearnerStage>(metrics.seconds, now, "waiting");
  const settings = config.learner;
  const checkpoints = new Checkpoints({ settings, writer, settlements, metrics, notice: emit, log, now });
  const parts = { config, recipe, training, weights, intake, ledger, settlements, checkpoints, folder };
  const learner = new Learner({ ...parts, metrics, time, watchdog, resumed, emit, log, now });
  const detail = () => ({ ...learner.progress, engine, heldSteps: intake.held.steps });
  const health = () => ({ ok: true, detail: detail() });
  return { learner, training, intake, settlements, time, metrics, health };
}
