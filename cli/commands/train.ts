/** `skein train`: the whole system on one machine, watched to its end. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { RunEvent, FinishedEvent } from "../../core/progress.js";
import { toSkeinError } from "../../core/errors.js";
import { listCheckpoints } from "../../core/weights/checkpoint.js";
import { Supervisor } from "../supervisor/supervisor.js";
import { createView } from "../view/create-view.js";
import type { CommandHost } from "./host.js";
import { resolveRun, type RunFileOptions } from "./resolve-run.js";
import { createRunFolder, folderToResume } from "./run-folder.js";

export interface TrainOptions extends RunFileOptions {
  /** true = the newest folder of this run; a string names one. */
  readonly resume?: boolean | string;
  readonly json: boolean;
}

/** The command line that starts this run again, for people to copy. */
function commandOf(runFile: string, { seed, set }: RunFileOptions): string {
  const quoted = (text: string): string =>
    /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["skein", "train", runFile];
  if (seed !== undefined) parts.push("--seed", String(seed));
  for (const assignment of set) parts.push("--set", assignment);
  return parts.map(quoted).join(" ");
}

async function howToResume(command: string, folder: string): Promise<string> {
  const newest = (await listCheckpoints(join(folder, "checkpoints"))).pop();
  return newest === undefined
    ? `No checkpoint was written yet; start again with: ${command}`
    : `Go on from ${newest} with: ${command} --resume ${folder}`;
}

export async function train(host: CommandHost, runFile: string, options: TrainOptions): Promise<number> {
  const { config, environment } = await resolveRun(runFile, options);
  const resume = options.resume !== undefined && options.resume !== false;
  const runFolder = resume
    ? await folderToResume(config, typeof options.resume === "string" ? options.resume : null)
    : await createRunFolder(config, new Date());
  await mkdir(join(runFolder, "logs"), { recursive: true });
  const configPath = join(runFolder, "run.yaml");
  await writeFile(configPath, stringify(config));

  const view = createView({
    mode: options.json ? "json" : process.stdout.isTTY ? "live" : "plain",
    stream: process.stdout,
    color: host.color,
    header: {
      runName: config.run.name,
      environment: environment.id,
      recipe: config.recipe.id,
      engine: config.engine,
      seed: config.run.seed,
      runFolder,
      stopEnvSteps: config.stop.envSteps,
      stopMeanReturn: config.stop.meanReturn,
    },
  });
  const onEvent = (event: RunEvent): void => view.event(event);
  const supervisor = new Supervisor({ config, configPath, runFolder, resume, onEvent });
  host.onForcedExit(() => {
    supervisor.killAll();
    view.close();
  });
  try {
    const finished = await supervisor.run(host.signal);
    view.event(finished);
    return host.signalExitCode();
  } catch (error) {
    const failure = toSkeinError(error);
    const last = supervisor.progress;
    const message = `${failure.message}. ${await howToResume(commandOf(runFile, options), runFolder)}`;
    view.event({ event: "notice", level: "error", code: failure.code, message });
    const finished: FinishedEvent = {
      event: "finished",
      reason: "failed",
      envSteps: last?.envSteps ?? 0,
      updates: last?.updates ?? 0,
      wallSeconds: last?.wallSeconds ?? 0,
      meanReturn100: last?.meanReturn100 ?? Number.NaN,
      policyVersion: last?.policyVersion ?? 0,
    };
    view.event(finished);
    return 1;
  } finally {
    view.close();
  }
}
