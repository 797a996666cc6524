/**
 * Writes the checkpoints of a run folder.
 *
 * Always: a checkpoint is there whole or not at all, and the earlier ones stay until it is; only the process that
 * opened the folder last puts any there. A file is written on the writer's own desk, a folder beside the checkpoints,
 * synced, and renamed into place. Opening takes the desks of all others away, so that a learner which does not know
 * yet that another goes on in its place cannot finish a file any more.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, SkeinError } from "../errors.js";
import { checkpointName, encodeCheckpoint, listCheckpoints, type Checkpoint } from "./checkpoint.js";

const DESK = ".writing-";
const TAKEN = ".taken-";

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "w");
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

export class CheckpointWriter {
  private constructor(
    private readonly folder: string,
    private readonly desk: string,
  ) {}

  /** From now on, only this one writes into `folder`, which is made where it is missing. */
  static async open(folder: string): Promise<CheckpointWriter> {
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) {
      if (!name.startsWith(DESK) && !name.startsWith(TAKEN)) continue;
      const taken = join(folder, TAKEN + randomUUID());
      // Taken away in one step; then nobody can put anything there while it is cleared.
      await rename(join(folder, name), taken);
      await rm(taken, { recursive: true, force: true });
    }
    const desk = join(folder, DESK + randomUUID());
    await mkdir(desk);
    return new CheckpointWriter(folder, desk);
  }

  /**
   * Writes `checkpoint` and deletes all but the newest `keep`; returns its path. Throws REFUSED where another process
   * has opened the folder since, CHECKPOINT_UNWRITABLE where the disk does not take it. Either way the earlier
   * checkpoints are as they were.
   */
  async write(checkpoint: Checkpoint, keep: number): Promise<string> {
    const name = checkpointName(checkpoint.state.policyVersion);
    const path = join(this.folder, name);
    const draft = join(this.desk, name);
    try {
      await writeSynced(draft, encodeCheckpoint(checkpoint));
      await rename(draft, path);
      await syncFolder(this.folder);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw isMissing(error) ? this.takenOver() : unwritable(path, error);
    }
    const old = (await listCheckpoints(this.folder)).slice(0, -keep);
    await Promise.all(old.map((file) => rm(file, { force: true })));
    return path;
  }

  async close(): Promise<void> {
    await rm(this.desk, { recursive: true, force: true });
  }

  private takenOver(): SkeinError {
    return new SkeinError(
      "REFUSED",
      `${this.folder}: another learner has opened this run folder and goes on in it; this one writes no more checkpoints`,
    );
  }
}

function unwritable(path: string, cause: unknown): SkeinError {
  return new SkeinError(
    "CHECKPOINT_UNWRITABLE",
    `cannot write checkpoint ${path}: ${messageOf(cause)}; free space or mend the disk`,
    { cause },
  );
}
