/** The same seed gives the same checkpoint, whatever carries the messages. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import type { RunConfig } from "../../core/config/schema.js";
import type { RunEvent } from "../../core/progress.js";
import { NO_CREDENTIALS } from "../../core/security/credentials.js";
import type { ServiceHost } from "../../core/services.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { runActor } from "../../services/actor/main.js";
import type { runCoordinator } from "../../services/coordinator/main.js";
import type { runLearner } from "../../services/learner/main.js";
import { natsMissing } from "../nats-server.js";
import { Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

const RUN = {
  deterministic: true,
  run: { name: "fixed", seed: 5 },
  environment: { id: "CartPole-v1" },
  recipe: { params: { batchSteps: 256, epochs: 2, minibatches: 2, learningRate: 0.001 } },
  model: { hidden: [16] },
  actors: { processes: 2, environments: 4, fragmentSteps: 32 },
  learner: { checkpointEvery: 5 },
  stop: { envSteps: 5000 },
};

function hashIn(events: readonly RunEvent[]): string {
  const said = events.flatMap((event) => (event.event === "notice" ? [event.message] : [])).join("\n");
  const hash = /sha256 ([0-9a-f]{64})/.exec(said)?.[1];
  if (hash === undefined) throw new Error(`no hash in: ${said}`);
  return hash;
}

async function hashOfProcesses(...args: string[]): Promise<string> {
  const { code, events } = await place.run("train", "run.yaml", "--json", ...args);
  expect(code).toBe(0);
  return hashIn(events);
}

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

/** All services in this process, their messages in memory. */
async function hashInMemory(): Promise<string> {
  const address = "memory:0";
  const config: RunConfig = parseRunConfig(
    {
      ...RUN,
      coordinator: { address },
      learner: { ...RUN.learner, address },
      weights: { relayAddress: address },
    },
    "run",
  );
  const shared = createMemoryTransport(config.transport);
  const stop = new AbortController();
  const listening: ((address: string) => void)[] = [];
  const host = (role: "actor" | "coordinator" | "learner", events: RunEvent[]): ServiceHost => ({
    signal: stop.signal,
    emit: (event) => {
      events.push(event);
      if (event.event === "listening") listening.shift()?.(event.address);
    },
    log: createLogger({ role, level: "error" }),
    credentials: NO_CREDENTIALS,
    createTransport: () => ({ ...shared, close: () => Promise.resolve() }),
  });
  const { runActor, runCoordinator, runLearner } = await mains();
  const found = new Promise<string>((resolve) => listening.push(resolve));
  const coordinator = runCoordinator(config, { runFolder: null }, host("coordinator", []));
  const where = await found;
  const events: RunEvent[] = [];
  const folder = { runFolder: join(place.folder, "in-memory"), resume: false };
  const actors = [0, 1].map((index) => runActor(where, { index, name: `actor-${index}` }, host("actor", [])));
  await runLearner(where, folder, host("learner", events));
  await Promise.all(actors);
  stop.abort();
  await coordinator;
  await shared.close();
  return hashIn(events);
}

// Five runs, one after the other.
const PATIENCE_MS = 300_000;

describe("a deterministic run", () => {
  it(
    "is bit-identical over gRPC, over NATS and in memory, and another with another seed",
    async () => {
      await place.runFile(RUN);
      const first = await hashOfProcesses();
      expect(await hashOfProcesses()).toBe(first);
      expect(await hashOfProcesses("--seed", "6")).not.toBe(first);
      expect(await hashInMemory()).toBe(first);
      if (natsMissing === null) expect(await hashOfProcesses("--set", "transport.kind=nats")).toBe(first);
      else process.stderr.write(`deterministic over NATS: ${natsMissing}\n`);
    },
    PATIENCE_MS,
  );
});
