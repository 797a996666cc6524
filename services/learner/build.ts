/** Builds what a learner consists of from its run file and, when it resumes, its newest checkpoint. */
import { join } from "node:path";
import type { RunConfig } from "../../core/config/schema.js";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import type { EnvironmentSpec } from "../../core/env/environment.js";
import { widthOf } from "../../core/env/spaces.js";
import { SkeinError } from "../../core/errors.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/recipes/recipe.js";
import { steadySeconds, type Keep, type ServiceHost } from "../../core/services.js";
import type { Health } from "../../core/telemetry/http.js";
import {
  createLearnerMetrics,
  type CounterHandle,
  type LearnerMetrics,
  type MetricsRegistry,
} from "../../core/telemetry/metrics.js";
import type { DeliveryHandler } from "../../core/transport/transport.js";
import { stepCount } from "../../core/types.js";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { loadEnvironment } from "../../envs/index.js";
import { Intake, type DropReason } from "./intake.js";
import { Learner } from "./learner.js";
import { RunFolder } from "./run-folder.js";

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

/** An engine with the checkpoint's weights and moments, or with first ones. Throws CHECKPOINT_MISMATCH. */
async function buildEngine(
  config: RunConfig,
  { observationSpace, actionSpace }: EnvironmentSpec,
  resumed: Checkpoint | null,
): Promise<{ readonly engine: Engine; readonly detail: string }> {
  const model = createModel({ ...config.model, observationSpace, actionSpace });
  const { engine, detail } = await createEngine(config.engine, model);
  engine.load(resumed?.weights ?? initialWeights(model, config.run.seed));
  if (resumed !== null) {
    engine.loadOptimizerState({ steps: resumed.state.optimizerSteps, tensors: resumed.optimizer });
  }
  return { engine, detail };
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

/** Takes rollouts of this run and this environment; refuses the rest, saying why. */
function intakeHandler(
  runId: string,
  { observationSpace, actionSpace }: EnvironmentSpec,
  intake: Intake,
  metrics: LearnerMetrics,
): DeliveryHandler {
  const observationWidth = widthOf(observationSpace);
  const actionWidth = widthOf(actionSpace);
  return (delivery) => {
    const { runId: itsRun, columns } = delivery.rollout;
    metrics.receivedRollouts.inc();
    metrics.rolloutBytes.inc(delivery.bytes);
    const fits = columns.observationWidth === observationWidth && columns.actionWidth === actionWidth;
    if (itsRun === runId && fits && stepCount(columns) > 0) {
      intake.add(delivery.rollout);
      delivery.ack();
      return;
    }
    metrics.refusedRollouts.inc();
    delivery.reject(
      `expected rollouts of run ${runId} with observations and actions ${observationWidth} and ${actionWidth} wide, ` +
        `got ${stepCount(columns)} steps of run ${itsRun} with ${columns.observationWidth} and ${columns.actionWidth}`,
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
  readonly engine: Engine;
  readonly intake: Intake;
  readonly onDelivery: DeliveryHandler;
  readonly registry: MetricsRegistry;
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
  const { engine, detail } = await buildEngine(config, spec, checkpoint);
  keep(engine);
  emit({ event: "notice", level: "info", message: `engine ${engine.id}: ${detail}` });
  const metrics = createLearnerMetrics();
  const intake = buildIntake(config, recipe, checkpoint, metrics);
  const resumed = checkpoint?.state ?? null;
  const folder = keep(await RunFolder.open(runFolder, config, spec.id, resumed?.envSteps ?? 0));
  const now = steadySeconds;
  const learner = new Learner({ config, recipe, engine, intake, folder, metrics, emit, log, now, resumed });
  const onDelivery = intakeHandler(runId, spec, intake, metrics);
  const health = () => ({
    ok: true,
    detail: { ...learner.progress, engine: engine.id, heldSteps: intake.heldSteps },
  });
  return { learner, engine, intake, onDelivery, registry: metrics.registry, health };
}
