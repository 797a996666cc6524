/** The training thread: a trainer and its engine. Runs for the life of the learner as the one task of its pool. */
import { createEngine } from "../../core/engine/select.js";
import type { RunConfig } from "../../core/config/schema.js";
import { createModel } from "../../core/model/create.js";
import type { Model } from "../../core/model/model.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { steadySeconds } from "../../core/services.js";
import { serve, type Work } from "../../core/threads/serve.js";
import { loadEnvironment } from "../../envs/index.js";
import type { FromThread, ThreadStart, ToThread } from "./messages.js";
import { readCheckpoint } from "../../core/weights/checkpoint.js";
import { freshStart, Trainer, type ReferencePolicy, type TrainerStart } from "./trainer.js";

/** Version 0, with the reference policy that the run file names. */
async function firstStart({ run, reference }: RunConfig, model: Model): Promise<TrainerStart> {
  const start = freshStart(model, run.seed);
  if (reference === null || reference.policy === "initial") return start;
  const { weights } = await readCheckpoint(reference.policy);
  return { ...start, reference: weights.tensors };
}

/** A second engine of the same network; its weights come with the trainer's start. */
async function openReference(config: RunConfig, model: Model): Promise<ReferencePolicy> {
  const { engine } = await createEngine(config.engine, model, { threads: config.learner.engineThreads });
  return { engine, refreshEvery: config.reference?.refreshEvery ?? 0 };
}

async function createTraining({ config, resumed }: ThreadStart): Promise<Work<ToThread, FromThread>> {
  const { observationSpace, actionSpace } = (await loadEnvironment(config.environment, process.cwd())).spec;
  const model = createModel({ ...config.model, observationSpace, actionSpace });
  const { engine, detail } = await createEngine(config.engine, model, {
    threads: config.learner.engineThreads,
  });
  const recipe = resolveRecipe(config.recipe);
  const start = resumed ?? (await firstStart(config, model));
  const reference = recipe.evaluateReference === undefined ? null : await openReference(config, model);
  const trainer = new Trainer(recipe, engine, start, steadySeconds, reference);
  return {
    ready: {
      kind: "ready",
      engine: engine.id,
      detail,
      stateWidth: model.stateWidth,
      weights: trainer.weights,
    },
    async handle(message) {
      if (message.kind === "state") return { kind: "state", state: await trainer.state() };
      const { rollouts, learningRate, version } = message;
      return { kind: "trained", batch: await trainer.train(rollouts, learningRate, version) };
    },
    close: () => trainer.close(),
  };
}

/** Piscina task: trains for the life of the learner. */
export default async function trainingThread(start: ThreadStart): Promise<void> {
  await serve(start.port, () => createTraining(start));
}
