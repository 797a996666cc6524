/** Builds a learner: model, engine, intake, membership; runs it and takes it down again. */
import { createEngine, createModel } from "../../core/engine/select.js";
import type { Engine } from "../../core/engine/engine.js";
import { widthOf } from "../../core/env/spaces.js";
import type { ModelSpec } from "../../core/model/model.js";
import { SkeinError } from "../../core/errors.js";
import { initialWeights } from "../../core/model/init.js";
import type { FinishReason, FinishedEvent } from "../../core/progress.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { steadySeconds, Teardown, type ServiceHost } from "../../core/services.js";
import { createLearnerMetrics, type LearnerMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport, describeRun } from "../../core/transport/create.js";
import { Session } from "../../core/transport/session.js";
import type { DeliveryHandler, Phase } from "../../core/transport/transport.js";
import { stepCount } from "../../core/types.js";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { loadEnvironment } from "../../envs/index.js";
import { Intake } from "./intake.js";
import { Learner } from "./learner.js";
import { RunFolder } from "./run-folder.js";

export interface LearnerServiceOptions {
  /** `host:port` of the coordinator. */
  readonly coordinator: string;
  readonly runFolder: string;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume: boolean;
}

async function newestCheckpoint(folder: string): Promise<Checkpoint> {
  const newest = (await listCheckpoints(folder)).pop();
  if (newest === undefined) {
    throw new SkeinError("RUN_FOLDER", `--resume: no checkpoint in ${folder}; start the run without --resume`);
  }
  return readCheckpoint(newest);
}

function startEngine(engine: Engine, resumed: Checkpoint | null, fresh: () => ReturnType<typeof initialWeights>): void {
  engine.load(resumed?.weights ?? fresh());
  if (resumed !== null) {
    engine.loadOptimizerState({ steps: resumed.state.optimizerSteps, tensors: resumed.optimizer });
  }
}

/** Takes rollouts of this run and this environment; refuses the rest, saying why. */
function intakeHandler(runId: string, spec: ModelSpec, intake: Intake, metrics: LearnerMetrics): DeliveryHandler {
  const observationWidth = widthOf(spec.observationSpace);
  const actionWidth = widthOf(spec.actionSpace);
  return ({ rollout, bytes, ack, reject }) => {
    const { columns } = rollout;
    metrics.receivedRollouts.inc();
    metrics.rolloutBytes.inc(bytes);
    const fits = columns.observationWidth === observationWidth && columns.actionWidth === actionWidth;
    if (rollout.runId !== runId || !fits || stepCount(columns) === 0) {
      metrics.refusedRollouts.inc();
      reject(
        `expected rollouts of run ${runId} with observations and actions ${observationWidth} and ${actionWidth} wide, ` +
          `got run ${rollout.runId} with ${columns.observationWidth} and ${columns.actionWidth}, ${stepCount(columns)} steps`,
      );
      return;
    }
    intake.add(rollout);
    ack();
  };
}

/** Trains until the run ends or the process is asked to stop. */
export async function runLearner(options: LearnerServiceOptions, host: ServiceHost): Promise<FinishedEvent> {
  const { runId, config } = await describeRun(options.coordinator);
  const recipe = resolveRecipe(config.recipe);
  const { spec: environment } = await loadEnvironment(config.environment, process.cwd());
  const { observationSpace, actionSpace } = environment;
  const spec: ModelSpec = { kind: config.model.kind, hidden: config.model.hidden, observationSpace, actionSpace };
  const model = createModel(spec);
  const resumed = options.resume ? await newestCheckpoint(`${options.runFolder}/checkpoints`) : null;
  const teardown = new Teardown();
  try {
    const started = await createEngine(config.engine, model);
    const engine = teardown.add(started.engine);
    startEngine(engine, resumed, () => initialWeights(model, config.run.seed));
    const metrics = createLearnerMetrics();
    const intake = new Intake(
      {
        batchSteps: recipe.sampler.batchSteps,
        maxPolicyLag: config.staleness.maxPolicyLag,
        seats: config.deterministic ? config.actors.processes * config.actors.threads : null,
        onDrop: (reason) => (reason === "stale" ? metrics.staleRollouts : metrics.duplicateRollouts).inc(),
      },
      resumed?.state ?? { disposedSteps: 0, seatSequences: [] },
    );
    const folder = teardown.add(
      await RunFolder.open(options.runFolder, config, resumed?.state.envSteps ?? 0, {
        title: `${config.run.name}: ${environment.id}, ${recipe.id}, seed ${config.run.seed}`,
        threshold: config.stop.meanReturn,
      }),
    );
    const transport = teardown.add(createTransport(config.transport));
    const data = teardown.add(
      await transport.serveRollouts(intakeHandler(runId, spec, intake, metrics), config.learner.address),
    );
    const control = teardown.add(transport.connectControl(options.coordinator));

    let learner: Learner | null = null;
    const version = (): number => learner?.progress.policyVersion ?? resumed?.state.policyVersion ?? 0;
    const session = teardown.add(
      await Session.open({
        control,
        appliedVersion: version,
        onRenewed: () => control.publishWeights(engine.weights(version())),
        request: () => ({
          role: "learner",
          name: "learner",
          index: null,
          dataAddress: config.learner.advertise ?? data.address,
          policyVersion: version(),
          disposedSteps: intake.disposedSteps,
          receivedSteps: intake.receivedSteps,
          seatSequences: intake.receivedSequences,
        }),
      }),
    );
    const report = async (phase: Phase): Promise<number> => {
      const counts = {
        disposedSteps: intake.disposedSteps,
        receivedSteps: intake.receivedSteps,
        seatSequences: intake.receivedSequences,
      };
      const progress = learner?.progress ?? { policyVersion: 0, updates: 0, envSteps: 0, meanReturn100: Number.NaN };
      const reply = await control.report({ leaseId: session.leaseId, phase, ...progress, ...counts });
      if (!reply.known) await session.renew();
      return reply.actors;
    };
    learner = new Learner({
      config,
      recipe,
      engine,
      intake,
      upstream: {
        advance: async () => {
          await control.publishWeights(engine.weights(version()));
          return report("running");
        },
      },
      folder,
      metrics,
      emit: host.emit,
      now: steadySeconds,
      resumed: resumed?.state ?? null,
    });
    const door = await openSideDoor(config.learner.http, metrics.registry, () => ({
      ok: true,
      detail: { ...learner?.progress, engine: engine.id, heldSteps: intake.heldSteps },
    }));
    if (door !== null) teardown.add(door);
    host.emit({ event: "listening", role: "learner", address: data.address, http: door?.url ?? "" });
    host.emit({ event: "notice", level: "info", message: `engine ${engine.id}: ${started.detail}` });
    await control.publishWeights(engine.weights(version()));
    const reason: FinishReason = await Promise.race([learner.run(host.signal), session.failed]);
    await report("finished").catch(() => undefined);
    return { event: "finished", reason, wallSeconds: learner.wallSeconds, ...learner.progress };
  } finally {
    await teardown.run();
  }
}
