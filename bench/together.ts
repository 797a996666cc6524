/**
 * Coordinator, learner and actors in one process over a transport of choice, also the one in memory. Started by
 * delivery.ts; its last line is the rate of trained environment steps over the measured time.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRunConfig } from "../core/config/load.js";
import type { ListeningEvent, ProgressEvent, RunEvent } from "../core/progress.js";
import type { ServiceHost } from "../core/services.js";
import { createLogger } from "../core/telemetry/logger.js";
import { createTransport } from "../core/transport/create.js";
import { createMemoryTransport } from "../core/transport/memory.js";
import type { Transport } from "../core/transport/transport.js";
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

const memoryAddress = "memory:0";
