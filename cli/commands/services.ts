/** `skein coordinator`, `skein learner`, `skein actor`: one service each, for machines of their own. */
import { hostname } from "node:os";
import type { CommandHost } from "./host.js";
import { serviceHost } from "./host.js";
import { resolveRun, type RunFileOptions } from "./resolve-run.js";

export async function coordinator(
  host: CommandHost,
  runFile: string,
  options: RunFileOptions & {
    readonly address?: string;
    readonly runFolder?: string;
    readonly json: boolean;
  },
): Promise<number> {
  const address = options.address === undefined ? [] : [`coordinator.address=${options.address}`];
  const { config } = await resolveRun(runFile, { ...options, set: [...options.set, ...address] });
  const { runCoordinator } = await import("../../services/coordinator/main.js");
  const runFolder = options.runFolder ?? null;
  await runCoordinator(config, { runFolder }, serviceHost(host, "coordinator", options.json));
  return 0;
}

export async function learner(
  host: CommandHost,
  options: {
    readonly coordinator: string;
    readonly runFolder: string;
    readonly resume: boolean;
    readonly json: boolean;
  },
): Promise<number> {
  const { runLearner } = await import("../../services/learner/main.js");
  const service = serviceHost(host, "learner", options.json);
  service.emit(await runLearner(options.coordinator, options, service));
  return 0;
}

export async function actor(
  host: CommandHost,
  options: {
    readonly coordinator: string;
    readonly index?: number;
    readonly name?: string;
    readonly json: boolean;
  },
): Promise<number> {
  const { runActor } = await import("../../services/actor/main.js");
  const index = options.index ?? null;
  const name = options.name ?? `actor-${index ?? `${hostname()}-${process.pid}`}`;
  await runActor(options.coordinator, { index, name }, serviceHost(host, "actor", options.json));
  return 0;
}
