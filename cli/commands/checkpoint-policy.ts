/** A checkpoint and the run it comes from, for commands that look at policies. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseRunConfig } from "../../core/config/load.js";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { ModelSpec } from "../../core/model/model.js";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { loadEnvironment } from "../../envs/index.js";

export interface CheckpointPolicy {
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly config: RunConfig;
  readonly environment: Awaited<ReturnType<typeof loadEnvironment>>;
  readonly model: ModelSpec;
}

async function fileOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  if (found === null)
    throw new SkeinError(
      "CHECKPOINT_UNREADABLE",
      `${path}: expected a checkpoint or a run folder, got nothing of that name`,
    );
  if (!found.isDirectory()) return path;
  const newest = (await listCheckpoints(join(path, "checkpoints"))).pop();
  if (newest === undefined)
    throw new SkeinError("CHECKPOINT_UNREADABLE", `${path}: no checkpoint in this folder`);
  return newest;
}

/** `path` is a checkpoint file or a run folder. */
export async function openCheckpoint(path: string): Promise<CheckpointPolicy> {
  const file = await fileOf(path);
  const checkpoint = await readCheckpoint(file);
  const config = parseRunConfig(checkpoint.config, file);
  const environment = await loadEnvironment(config.environment, process.cwd());
  const { observationSpace, actionSpace } = environment.spec;
  const model: ModelSpec = { ...config.model, observationSpace, actionSpace };
  return { path: file, checkpoint, config, environment, model };
}
