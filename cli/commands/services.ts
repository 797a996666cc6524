/** `skein coordinator`, `skein learner`, `skein actor`: one service each, for machines of their own. */
import { hostname } from "node:os";
import { readCredentials } from "../../core/security/credentials.js";
import { credentialsOf, type CredentialOptions } from "./credentials.js";
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
  const credentials = await readCredentials(config.security);
  await runCoordinator(config, { runFolder }, serviceHost(host, "coordinator", credentials, options.json));
  return 0;
}

export async function learner(
  host: CommandHost,
  options: CredentialOptions & {
    readonly coordinator: string;
    readonly runFolder: string;
    readonly resume: boolean;
    readonly json: boolean;
  },
): Promise<number> {
  const { runLearner } = await import("../../services/learner/main.js");
  const service = serviceHost(host, "learner", await credentialsOf(options), options.json);
  service.emit(await runLearner(options.coordinator, options, service));
  return 0;
}

export async function actor(
  host: CommandHost,
  options: CredentialOptions & {
    readonly coordinator: string;
    readonly index?: number;
    readonly name?: string;
    readonly json: boolean;
  },
): Promise<number> {
  const { runActor } = await import("../../services/actor/main.js");
  const index = options.index ?? null;
  const name = options.name ?? `actor-${index ?? `${hostname()}-${process.pid}`}`;
  const service = serviceHost(host, "actor", await credentialsOf(options), options.json);
  await runActor(options.coordinator, { index, name }, service);
  return 0;
}
