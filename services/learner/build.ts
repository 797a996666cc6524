/** Builds what a learner consists of from its run file and, when it resumes, its newest checkpoint. */
import { join } from "node:path";
import type { RunConfig } from "../../core/config/schema.js";
import type { EnvironmentSpec } from "../../core/env/environment.js";
import { choicesOf, widthOf } from "../../core/env/spaces.js";
import { SkeinError } from "../../core/errors.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/recipes/recipe.js";
import { steadySeconds, type Keep, type ServiceHost } from "../../core/services.js";
import type { Health } from "../../core/telemetry/http.js";
import {
  createLearnerMetrics,
  type CounterHandle,
  type LearnerMetrics,
} from "../../core/telemetry/metrics.js";
import type { DeliveryHandler } from "../../core/transport/transport.js";
import { stepCount, type RolloutColumns } from "../../core/types.js";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { loadEnvironment } from "../../envs/index.js";
import { Intake, type DropReason } from "./intake.js";
import { Learner } from "./learner.js";
import { RunFolder } from "./run-folder.js";
import type { TrainerState } from "./trainer.js";
import { TrainingLine } from "./training-line.js";

/** The newest checkpoint of a run folder. Throws RUN_FOLDER where there is none. */
async function newestCheckpoint(runFolder: string): Promise<Checkpoint> {
  const newest = (await listCheckpoints(join(runFolder, "checkpoints"))).pop();
  if (newest === undefined) {
    throw new SkeinError(
      "RUN_FOLDER",
      `--resume: no checkpoint in ${runFolder}; start the run without --resume`,
    );
  }
  return readCheckpoint(newest);
}

/** What a checkpoint holds of training itself. */
function trainerStateOf({ weights, optimizer, state }: Checkpoint): TrainerState {
  const { random, trackers, optimizerSteps } = state;
  return { weights, optimizer: { steps: optimizerSteps, tensors: optimizer }, random, trackers };
}

function buildIntake(
  config: RunConfig,
  recipe: Recipe,
  resumed: Checkpoint | null,
  metrics: LearnerMetrics,
): Intake {
  const { actors, staleness, deterministic } = config;
  const dropped: Record<DropReason, CounterHandle> = {
    duplicate: metrics.duplicateRollouts,
    stale: metrics.staleRollouts,
    orphaned: metrics.orphanedRollouts,
  };
  return new Intake(
    {
      batchSteps: recipe.sampler.batchSteps,
      maxPolicyLag: staleness.maxPolicyLag,
      seats: deterministic ? actors.processes * actors.threads : null,
      onDrop: (reason) => dropped[reason].inc(),
    },
    resumed?.state ?? { policyVersion: 0, disposedSteps: 0, seatSequences: [] },
  );
}

type Widths = Pick<RolloutColumns, "observationWidth" | "actionWidth" | "actionMaskWidth" | "stateWidth">;

function widthsOf(
  { observationSpace, actionSpace, actionMasks }: EnvironmentSpec,
  stateWidth: number,
): Widths {
  return {
    observationWidth: widthOf(observationSpace),
    actionWidth: widthOf(actionSpace),
    actionMaskWidth: actionMasks === true ? choicesOf(actionSpace) : 0,
    stateWidth,
  };
}

/** Takes rollouts of this run, this environment and this network; refuses the rest, saying why. */
function intakeHandler(
  runId: string,
  widths: Widths,
  intake: Intake,
  metrics: LearnerMetrics,
): DeliveryHandler {
  const names = Object.keys(widths) as (keyof Widths)[];
  const list = (of: Widths): string => names.map((name) => `${name} ${of[name]}`).join(", ");
  return (delivery) => {
    const { runId: itsRun, columns } = delivery.rollout;
    metrics.receivedRollouts.inc();
    metrics.rolloutBytes.inc(delivery.bytes);
    const fits = names.every((name) => columns[name] === widths[name]);
    if (itsRun === runId && fits && stepCount(columns) > 0) {
      intake.add(delivery.rollout);
      delivery.ack();
      return;
    }
    metrics.refusedRollouts.inc();
    delivery.reject(
      `expected rollouts of run ${runId} with ${list(widths)}, ` +
        `got ${stepCount(columns)} steps of run ${itsRun} with ${list(columns)}`,
    );
  };
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
  readonly onDelivery: DeliveryHandler;
  readonly metrics: LearnerMetrics;
  readonly health: () => Health;
}

export async function buildLearner(
  { runId, config }: { readonly runId: string; readonly config: RunConfig },
  { runFolder, resume }: LearnerPlace,
  { emit, log }: ServiceHost,
  keep: Keep,
): Promise<BuiltLearner> {
  const { spec } = await loadEnvironment(config.environment, process.cwd());
  const recipe = resolveRecipe(config.recipe);
  const checkpoint = resume ? await newestCheckpoint(runFolder) : null;
  const state = checkpoint === null ? null : trainerStateOf(checkpoint);
  const training = keep(await TrainingLine.start(config, state));
  const { engine, engineDetail, weights } = training;
  emit({ event: "notice", level: "info", message: `engine ${engine}: ${engineDetail}` });
  const metrics = createLearnerMetrics();
  const intake = buildIntake(config, recipe, checkpoint, metrics);
  const resumed = checkpoint?.state ?? null;
  const folder = keep(await RunFolder.open(runFolder, config, spec.id, resumed?.envSteps ?? 0));
  const now = steadySeconds;
  const parts = { config, recipe, training, weights, intake, folder, metrics, resumed };
  const learner = new Learner({ ...parts, emit, log, now });
  const onDelivery = intakeHandler(runId, widthsOf(spec, training.stateWidth), intake, metrics);
  const health = () => ({
    ok: true,
    detail: { ...learner.progress, engine, heldSteps: intake.heldSteps },
  });
  return { learner, training, intake, onDelivery, metrics, health };
}
