/** All services of a run in this process, their messages in memory: real services and threads without the processes. */
import { parseRunConfig } from "../../core/config/load.js";
import type { FinishedEvent, RunEvent } from "../../core/progress.js";
import { NO_CREDENTIALS } from "../../core/security/credentials.js";
import type { ServiceHost } from "../../core/services.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { runActor } from "../../services/actor/main.js";
import type { runCoordinator } from "../../services/coordinator/main.js";
import type { runLearner } from "../../services/learner/main.js";

interface Mains {
  readonly runActor: typeof runActor;
  readonly runCoordinator: typeof runCoordinator;
  readonly runLearner: typeof runLearner;
}

/** Of the build, whose threads Node.js can start. */
async function mains(): Promise<Mains> {
  const built = await Promise.all(
    ["actor", "coordinator", "learner"].map(
      (service) =>
        import(new URL(`../../dist/services/${service}/main.js`, import.meta.url).href) as Promise<object>,
    ),
  );
  return Object.assign({}, ...built) as Mains;
}

const ADDRESS = "memory:0";

/** Runs to the end. Events are the learner's. Rejects where one of the services fails. */
export async function runInProcess(
  run: Readonly<Record<string, unknown>>,
  runFolder: string,
): Promise<{ readonly events: readonly RunEvent[]; readonly finished: FinishedEvent }> {
  const config = parseRunConfig(
    {
      ...run,
      coordinator: { address: ADDRESS, http: null },
      learner: { ...(run["learner"] ?? {}), address: ADDRESS, http: null },
      weights: { relayAddress: ADDRESS },
    },
    "run",
  );
  const shared = createMemoryTransport(config.transport);
  const stop = new AbortController();
  const events: RunEvent[] = [];
  const host = (
    role: "actor" | "coordinator" | "learner",
    emit: (event: RunEvent) => void = () => undefined,
  ): ServiceHost => ({
    ...{ signal: stop.signal, emit, credentials: NO_CREDENTIALS },
    log: createLogger({ role, level: "error" }),
    createTransport: () => ({ ...shared, close: () => Promise.resolve() }),
  });
  const { runActor, runCoordinator, runLearner } = await mains();
  let coordinator: Promise<void> = Promise.resolve();
  const where = await new Promise<string>((resolve, reject) => {
    const emit = (event: RunEvent): void => {
      if (event.event === "listening") resolve(event.address);
    };
    coordinator = runCoordinator(config, { runFolder: null }, host("coordinator", emit));
    coordinator.catch(reject);
  });
  try {
    const learner = host("learner", (event) => void events.push(event));
    const actors = Array.from({ length: config.actors.processes }, (_, index) =>
      runActor(where, { index, name: `actor-${index}` }, host("actor")),
    );
    const [finished] = await Promise.all([
      runLearner(where, { runFolder, resume: false }, learner),
      ...actors,
    ]);
    return { events, finished };
  } finally {
    stop.abort();
    await coordinator;
    await shared.close();
  }
}
