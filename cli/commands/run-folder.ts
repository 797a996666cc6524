/** Finds and makes run folders: `<run.folder>/<run.name>-s<seed>-<time>`. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import { listCheckpoints } from "../../core/weights/checkpoint.js";

function prefixOf({ run }: RunConfig): string {
  return `${run.name}-s${run.seed}-`;
}

/** A new, empty folder for a run. */
export async function createRunFolder(config: RunConfig, now: Date): Promise<string> {
  const time = now.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  await mkdir(config.run.folder, { recursive: true });
  for (let attempt = 0; attempt < 100; attempt++) {
    const path = join(config.run.folder, `${prefixOf(config)}${time}${attempt === 0 ? "" : `-${attempt}`}`);
    try {
      await mkdir(path);
      return path;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    }
  }
  throw new SkeinError("RUN_FOLDER", `cannot find a free name for a run folder in ${config.run.folder}`);
}

/** The folder to resume: the one named, or the newest of this run that holds a checkpoint. */
export async function folderToResume(config: RunConfig, named: string | null): Promise<string> {
  if (named !== null) {
    const found = await stat(named).catch(() => null);
    if (found?.isDirectory() !== true) {
      throw new SkeinError(
        "RUN_FOLDER",
        `--resume ${named}: expected a run folder, got nothing of that name`,
      );
    }
    if ((await listCheckpoints(join(named, "checkpoints"))).length === 0) {
      throw new SkeinError(
        "RUN_FOLDER",
        `--resume ${named}: no checkpoint in it; start the run without --resume`,
      );
    }
    return named;
  }
  const names = await readdir(config.run.folder).catch((): string[] => []);
  const candidates = names.filter((name) => name.startsWith(prefixOf(config))).sort();
  for (const name of candidates.reverse()) {
    const path = join(config.run.folder, name);
    if ((await listCheckpoints(join(path, "checkpoints"))).length > 0) return path;
  }
  throw new SkeinError(
    "RUN_FOLDER",
    `--resume: no folder ${join(config.run.folder, prefixOf(config))}* with a checkpoint; ` +
      "start the run without --resume, or name the folder: --resume <folder>",
  );
}
