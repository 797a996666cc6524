import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  checkpointHash,
  listCheckpoints,
  readCheckpoint,
  type Checkpoint,
} from "../../core/weights/checkpoint.js";
import { CheckpointWriter } from "../../core/weights/checkpoint-writer.js";
import { decodeSafetensors, encodeSafetensors } from "../../core/weights/safetensors.js";
import type { NamedTensor } from "../../core/types.js";

const tensor = (name: string, values: number[]): NamedTensor => ({
  name,
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});

function checkpointOf(version: number, weight = 0.5): Checkpoint {
  return {
    config: { run: { name: "test" } },
    state: {
      policyVersion: version,
      updates: 16 * version,
      envSteps: 1024 * version,
      episodes: 7,
      recentReturns: [1.5, -2],
      ledger: {
        settled: {
          "seat-0": [[1, version]],
          "seat-1": [
            [1, 2],
            [4, 7],
          ],
        },
        laterAttempts: [["seat-1", 4, 2]],
        voidedGroups: [[3, 3]],
        counts: {
          trained: { rollouts: 8, steps: 1024 },
          stale: { rollouts: 0, steps: 0 },
          filtered: { voidedGroup: { rollouts: 1, steps: 12 } },
          failed: {},
        },
      },
      random: [1, 2, 3, 4],
      trackers: { returnScale: { count: 3 } },
      optimizerSteps: 16 * version,
    },
    outcomes: [
      {
        ...{ requestId: 77, verdict: "trained", reason: "", steps: 128, version },
        ...{ episodeReturn: Number.NaN, episodeLength: 20.5 },
      },
    ],
    weights: { version, tensors: [tensor("actor/weight", [weight, -1, 3]), tensor("critic/bias", [0.25])] },
    optimizer: [tensor("m/actor/weight", [1, 2, 3]), tensor("v/actor/weight", [4, 5, 6])],
    reference: [tensor("actor/weight", [9, 8, 7])],
  };
}

let folder = "";
let writer: CheckpointWriter;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-checkpoint-"));
  writer = await CheckpointWriter.open(folder);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("checkpoints", () => {
  it("come back from disk as they were written", async () => {
    const checkpoint = checkpointOf(3);
    const path = await writer.write(checkpoint, 3);
    const back = await readCheckpoint(path);
    expect(back).toEqual(checkpoint);
    expect(checkpointHash(back)).toBe(checkpointHash(checkpoint));
  });

  it("keep the newest few and leave nothing half-written behind", async () => {
    for (const version of [1, 2, 3, 10, 9]) await writer.write(checkpointOf(version), 2);
    await writer.close();
    expect((await readdir(folder)).sort()).toEqual([
      "checkpoint-00000009.safetensors",
      "checkpoint-00000010.safetensors",
    ]);
    expect((await listCheckpoints(folder)).pop()).toBe(join(folder, "checkpoint-00000010.safetensors"));
  });

  it("are written by the newest writer of the folder alone, which clears what the ones before it left", async () => {
    await writer.write(checkpointOf(1), 3);
    const [desk] = (await readdir(folder)).filter((name) => name.startsWith("."));
    await writeFile(join(folder, desk!, "checkpoint-00000002.safetensors"), "left by a crash");
    const successor = await CheckpointWriter.open(folder);
    await expect(writer.write(checkpointOf(2), 3)).rejects.toMatchObject({ code: "REFUSED" });
    await writer.close();
    await successor.write(checkpointOf(2, 0.75), 3);
    await successor.close();
    expect((await readdir(folder)).sort()).toEqual([
      "checkpoint-00000001.safetensors",
      "checkpoint-00000002.safetensors",
    ]);
    expect(await readCheckpoint(join(folder, "checkpoint-00000002.safetensors"))).toEqual(
      checkpointOf(2, 0.75),
    );
  });

  it("leave the earlier ones as they are where the disk does not take one, and go on when it does", async () => {
    await writer.write(checkpointOf(1), 1);
    // A folder of that name is in the way: the rename fails, whoever runs this.
    const blocked = join(folder, "checkpoint-00000002.safetensors");
    await mkdir(join(blocked, "in the way"), { recursive: true });
    await expect(writer.write(checkpointOf(2), 1)).rejects.toMatchObject({ code: "CHECKPOINT_UNWRITABLE" });
    expect(await readCheckpoint(join(folder, "checkpoint-00000001.safetensors"))).toEqual(checkpointOf(1));
    await rm(blocked, { recursive: true });
    await writer.write(checkpointOf(2), 1);
    await writer.close();
    expect(await readdir(folder)).toEqual(["checkpoint-00000002.safetensors"]);
  });

  it("hash what was learned and not the settings", () => {
    const one = checkpointOf(3);
    expect(checkpointHash({ ...one, config: { other: true } })).toBe(checkpointHash(one));
    expect(checkpointHash({ ...one, outcomes: [] })).toBe(checkpointHash(one));
    expect(checkpointHash(checkpointOf(3, 0.75))).not.toBe(checkpointHash(one));
    expect(checkpointHash({ ...one, state: { ...one.state, random: [1, 2, 3, 5] } })).not.toBe(
      checkpointHash(one),
    );
  });

  it("are refused when cut short anywhere or when any byte is flipped", async () => {
    const path = await writer.write(checkpointOf(3), 1);
    const whole = await readFile(path);
    const damaged = join(folder, "damaged");
    for (let length = 0; length < whole.length; length += 37) {
      await writeFile(damaged, whole.subarray(0, length));
      await expect(readCheckpoint(damaged)).rejects.toMatchObject({ code: "CHECKPOINT_UNREADABLE" });
    }
    for (let at = 0; at < whole.length; at += 11) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x01;
      // Padding and spelling of the header may change without harm; what is read must then be what was written.
      await writeFile(damaged, bytes);
      const outcome = await readCheckpoint(damaged).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "CHECKPOINT_UNREADABLE" });
      else expect(outcome).toEqual(checkpointOf(3));
    }
  });

  it("say what was expected when the file is something else or not there", async () => {
    const other = join(folder, "policy.safetensors");
    await writeFile(other, encodeSafetensors([tensor("w", [1])], { format: "something else" }));
    await expect(readCheckpoint(other)).rejects.toThrow(
      /expected format skein-checkpoint-2, got something else/,
    );
    await expect(readCheckpoint(join(folder, "none"))).rejects.toThrow(/cannot read checkpoint/);
  });
});

describe("safetensors", () => {
  it("lays a file out as the format says: header length, JSON header, raw little-endian data", () => {
    const bytes = encodeSafetensors([tensor("a", [1, 2]), tensor("b", [-0.5])], { note: "hello" });
    const view = Buffer.from(bytes);
    const length = Number(view.readBigUInt64LE(0));
    expect(JSON.parse(view.toString("utf8", 8, 8 + length))).toEqual({
      __metadata__: { note: "hello" },
      a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
      b: { dtype: "F32", shape: [1], data_offsets: [8, 12] },
    });
    expect([0, 4, 8].map((at) => view.readFloatLE(8 + length + at))).toEqual([1, 2, -0.5]);
    expect(decodeSafetensors(bytes, "memory").tensors).toEqual([tensor("a", [1, 2]), tensor("b", [-0.5])]);
  });
});
