/** One rollout thread: a vector environment and an engine. Runs for the life of the actor as one task of its pool. */
import { createEngine } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { serve, type Work } from "../../core/threads/serve.js";
import { loadEnvironment } from "../../envs/index.js";
import { FragmentPlayer } from "./fragment-player.js";
import { LiveWeights } from "./live-weights.js";
import { MemberPlayer } from "./member-player.js";
import type { FromThread, ThreadStart, ToThread } from "./messages.js";

async function createThread({ port, config, steps }: ThreadStart): Promise<Work<ToThread, FromThread>> {
  const { environment: choice, actors, model, run } = config;
  const loaded = await loadEnvironment(choice, process.cwd());
  const { observationSpace, actionSpace } = loaded.spec;
  const network = createModel({ ...model, observationSpace, actionSpace });
  const { engine, detail } = await createEngine(config.engine, network, { threads: 1 });
  const environment = loaded.vectorize(actors.environments);
  const policy = new PolicyRunner(engine, network, environment);
  const weights = new LiveWeights(engine, port);
  const fragments = new FragmentPlayer(environment, policy, weights, actors.fragmentSteps, steps);
  const members = new MemberPlayer(environment, policy, weights, run.seed, steps);
  return {
    ready: { kind: "ready", engine: engine.id, detail },
    async handle(message) {
      switch (message.kind) {
        case "weights":
          weights.offer(message.weights);
          return null;
        case "collect": {
          if (message.weights !== null) weights.swap(message.weights);
          const collected = await fragments.collect(message.request);
          return { kind: "fragment", collected, swaps: weights.takeSwaps() };
        }
        case "play": {
          const ended = await members.play(message.assignments);
          return { kind: "played", ended, swaps: weights.takeSwaps() };
        }
      }
    },
    async close() {
      engine.close();
      await environment.close?.();
    },
  };
}

/** Piscina task: collects for the life of the actor. */
export default async function rolloutThread(start: ThreadStart): Promise<void> {
  await serve(start.port, () => createThread(start));
}
