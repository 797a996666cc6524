import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { listCheckpoints, readCheckpoint, type Checkpoint } from "../../core/weights/checkpoint.js";
import { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import { EMPTY_LEDGER } from "../../services/learner/ledger.js";
import { LineFile } from "../../services/learner/line-file.js";
import { smallDisk } from "./small-disk.js";

const disk = smallDisk(256);
if (disk === null) process.stdout.write("skipped: a full disk needs the right to mount a tmpfs\n");
afterAll(() => disk?.remove());

const checkpointOf = (version: number): Checkpoint => ({
  config: {},
  state: {
    ...{ policyVersion: version, updates: 0, envSteps: 0, episodes: 0, recentReturns: [] },
    ...{ ledger: EMPTY_LEDGER, random: [1, 2, 3, 4], trackers: {}, optimizerSteps: 0 },
  },
  outcomes: [],
  weights: {
    version,
    tensors: [{ name: "w", dtype: "float32", shape: [8192], data: new Float32Array(8192).fill(version) }],
  },
  optimizer: [],
  reference: [],
});

describe.skipIf(disk === null)("on a disk that is full", () => {
  const path = disk?.path ?? "";
  const ballast = join(path, "ballast");
  /** Until not one byte more fits. */
  async function fill(): Promise<void> {
    for (let bytes = 262_144; bytes >= 1; bytes = Math.floor(bytes / 2)) {
      for (let k = 0; k < 2; k++)
        await writeFile(`${ballast}-${bytes}-${k}`, Buffer.alloc(bytes)).catch(() => undefined);
    }
  }
  async function empty(): Promise<void> {
    const names = (await readdir(path)).filter((name) => name.startsWith("ballast"));
    await Promise.all(names.map((name) => rm(join(path, name))));
  }

  it("the earlier checkpoint stays whole, and the next one is written once there is room", async () => {
    const writer = await CheckpointWriter.open(join(path, "checkpoints"));
    const first = await writer.write(checkpointOf(1), 2);
    await fill();
    await expect(writer.write(checkpointOf(2), 2)).rejects.toMatchObject({
      code: "CHECKPOINT_UNWRITABLE",
      message: expect.stringMatching(/^cannot write checkpoint .*00000002.*ENOSPC.*; free space/) as string,
    });
    expect(await listCheckpoints(join(path, "checkpoints"))).toEqual([first]);
    expect(await readCheckpoint(first)).toEqual(checkpointOf(1));
    await empty();
    expect(await readCheckpoint(await writer.write(checkpointOf(3), 2))).toEqual(checkpointOf(3));
    await writer.close();
  });

  it("lines wait and are all there, whole and in order, once there is room", async () => {
    const warnings: string[] = [];
    const file = join(path, "lines");
    await fill();
    // A file takes whole pages: a page's worth of lines may still fit into one that is there.
    const lines = Array.from({ length: 400 }, (_, k) => `line ${k} ${"x".repeat(40)}`);
    const log = await LineFile.open(file, (message) => void warnings.push(message));
    for (const line of lines.slice(0, 390)) {
      log.append(line);
      await new Promise(setImmediate);
    }
    await expect.poll(() => warnings.length).toBe(1);
    expect(warnings[0]).toMatch(/lines: ENOSPC.*; lines wait until there is room$/);
    await empty();
    for (const line of lines.slice(390)) log.append(line);
    await log.close();
    expect(await readFile(file, "utf8")).toBe(lines.map((line) => `${line}\n`).join(""));
    expect(warnings).toHaveLength(1);
  });

  it("a file of lines that is closed without room ends with a whole line", async () => {
    const file = join(path, "cut");
    const log = await LineFile.open(file, () => undefined);
    await fill();
    for (let k = 0; k < 5000; k++) log.append(`line ${k} ${"x".repeat(40)}`);
    await log.close();
    const text = await readFile(file, "utf8");
    expect(text === "" || text.endsWith("\n")).toBe(true);
    await empty();
  });
});
