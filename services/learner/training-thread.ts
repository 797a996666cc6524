/** The training thread: a trainer and its engine. Runs for the life of the learner as the one task of its pool. */
import { createEngine } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { steadySeconds } from "../../core/services.js";
import { serve, type Work } from "../../core/threads/serve.js";
import { loadEnvironment } from "../../envs/index.js";
import type { FromThread, ThreadStart, ToThread } from "./messages.js";
import { freshStart, Trainer } from "./trainer.js";

async function createTraining({ config, resumed }: ThreadStart): Promise<Work<ToThread, FromThread>> {
  const { observationSpace, actionSpace } = (await loadEnvironment(config.environment, process.cwd())).spec;
  const model = createModel({ ...config.model, observationSpace, actionSpace });
  const { engine, detail } = await createEngine(config.engine, model, {
    threads: config.learner.engineThreads,
  });
  const start = resumed ?? freshStart(model, config.run.seed);
  const trainer = new Trainer(resolveRecipe(config.recipe), engine, start, steadySeconds);
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
