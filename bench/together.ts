/**
 * Coordinator, learner and actors in one process over a transport of choice, also the one in memory. Started by
 * delivery.ts; its only line is the rate of trained environment steps over the measured time.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRunConfig } from "../core/config/load.js";
import type { RunConfig } from "../core/config/schema.js";
import type { ProgressEvent, RunEvent } from "../core/progress.js";
import { NO_CREDENTIALS } from "../core/security/credentials.js";
import type { ServiceHost } from "../core/services.js";
import { createLogger } from "../core/telemetry/logger.js";
import { createTransport, type TransportMaker } from "../core/transport/create.js";
import { createMemoryTransport } from "../core/transport/memory.js";
import { runActor } from "../services/actor/main.js";
import { runCoordinator } from "../services/coordinator/main.js";
import { runLearner } from "../services/learner/main.js";

export interface TogetherOptions {
  readonly runFile: string;
  readonly kind: "memory" | "grpc" | "nats";
  /** `key=value`, as for `skein train`. */
  readonly set: readonly string[];
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** One network in memory for all; who closes his transport leaves it to the others. */
function memoryTransports({ transport }: RunConfig): TransportMaker {
  const shared = createMemoryTransport(transport);
  return () => ({ ...shared, close: () => Promise.resolve() });
}

/** Events of one service, and whoever waits for one. */
class Events {
  private readonly past: RunEvent[] = [];
  private waiting: (() => void)[] = [];

  readonly emit = (event: RunEvent): void => {
    this.past.push(event);
    for (const wake of this.waiting.splice(0)) wake();
  };

  async first<T extends RunEvent>(fits: (event: RunEvent) => event is T): Promise<T> {
    for (;;) {
      const found = this.past.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  async address(): Promise<string> {
    return (await this.first((event) => event.event === "listening")).address;
  }

  async progressAt(wallSeconds: number): Promise<ProgressEvent> {
    return this.first(
      (event): event is ProgressEvent => event.event === "progress" && event.wallSeconds >= wallSeconds,
    );
  }
}

async function measure(options: TogetherOptions, folder: string): Promise<number> {
  const { runFile, kind, set, warmUpSeconds, seconds } = options;
  const local =
    kind === "memory"
      ? ["coordinator.address", "learner.address", "weights.relayAddress"].map((key) => `${key}=memory:0`)
      : [];
  const wires = kind === "memory" ? [] : [`transport.kind=${kind}`];
  const config = await loadRunConfig(runFile, [...set, ...local, ...wires]);
  const maker = kind === "memory" ? memoryTransports(config) : createTransport;
  const stop = new AbortController();
  const host = (role: "coordinator" | "learner" | "actor", events: Events): ServiceHost => ({
    signal: stop.signal,
    emit: events.emit,
    log: createLogger({ role, level: "warn" }),
    credentials: NO_CREDENTIALS,
    createTransport: maker,
  });
  const coordinator = new Events();
  const learner = new Events();
  const running = [
    runCoordinator(config, { runFolder: folder }, host("coordinator", coordinator)),
  ] as Promise<unknown>[];
  const address = await Promise.race([coordinator.address(), ...running.map(endless)]);
  running.push(runLearner(address, { runFolder: folder, resume: false }, host("learner", learner)));
  for (let index = 0; index < config.actors.processes; index++)
    running.push(runActor(address, { index, name: `actor-${index}` }, host("actor", new Events())));
  const steady = async (): Promise<number> => {
    const first = await learner.progressAt(warmUpSeconds);
    const last = await learner.progressAt(first.wallSeconds + seconds);
    return (last.envSteps - first.envSteps) / (last.wallSeconds - first.wallSeconds);
  };
  const rate = await Promise.race([steady(), ...running.map(endless)]);
  stop.abort();
  await Promise.allSettled(running);
  return rate;
}

/** Rejects as `running` does; its good end is none of this race's. */
async function endless(running: Promise<unknown>): Promise<never> {
  await running;
  throw new Error("a service ended before the measurement did; raise stop.envSteps");
}

const folder = await mkdtemp(join(tmpdir(), "skein-together-"));
try {
  const rate = await measure(JSON.parse(process.argv[2] ?? "{}") as TogetherOptions, folder);
  process.stdout.write(`${JSON.stringify({ envStepsPerSecond: rate })}\n`);
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
