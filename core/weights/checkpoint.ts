/**
 * Checkpoints: everything training needs to go on, in one safetensors file, written whole or not at all.
 * The checkpoint's hash covers what was learned (state and tensors), not settings such as ports.
 */
import { createHash, type Hash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, SkeinError } from "../errors.js";
import type { RandomState } from "../random.js";
import type { NamedTensor, WeightsSnapshot } from "../types.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";

/** Counters and streams of the learner, all JSON. */
export interface TrainingState {
  readonly policyVersion: number;
  /** Optimiser steps. */
  readonly updates: number;
  readonly envSteps: number;
  readonly episodes: number;
  /** Returns of the last 100 episodes, oldest first. */
  readonly recentReturns: readonly number[];
  /** Steps disposed of: trained, or dropped as stale. */
  readonly disposedSteps: number;
  /** Last fragment trained or dropped of each seat. */
  readonly seatSequences: readonly (readonly [seat: number, sequence: number])[];
  readonly random: RandomState;
  /** State of each of the recipe's trackers, by name. */
  readonly trackers: Readonly<Record<string, unknown>>;
  readonly optimizerSteps: number;
}

export interface Checkpoint {
  /** The resolved run file. */
  readonly config: unknown;
  readonly state: TrainingState;
  readonly weights: WeightsSnapshot;
  /** Moments `m/<parameter>` and `v/<parameter>`. */
  readonly optimizer: readonly NamedTensor[];
}

const FORMAT = "skein-checkpoint-1";
const FILE_PATTERN = /^checkpoint-(\d{8,})\.safetensors$/;
const PARTIAL_SUFFIX = ".partial";

const count = z.int().min(0);
const stateSchema: z.ZodType<TrainingState> = z.object({
  policyVersion: count,
  updates: count,
  envSteps: count,
  episodes: count,
  recentReturns: z.array(z.number()),
  disposedSteps: count,
  seatSequences: z.array(z.tuple([count, count])),
  random: z.tuple([count, count, count, count]),
  trackers: z.record(z.string(), z.unknown()),
  optimizerSteps: count,
});

function tensorsOf(checkpoint: Checkpoint): NamedTensor[] {
  const renamed = (prefix: string, tensors: readonly NamedTensor[]): NamedTensor[] =>
    tensors.map((tensor) => ({ ...tensor, name: `${prefix}/${tensor.name}` }));
  return [...renamed("weights", checkpoint.weights.tensors), ...renamed("optimizer", checkpoint.optimizer)];
}

function hashTensors(hash: Hash, tensors: readonly NamedTensor[]): Hash {
  for (const { name, shape, data } of tensors) {
    hash.update(`${name}[${shape.join(",")}]`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash;
}

/** SHA-256, hex, of the training state, the weights and the optimiser's moments. */
export function checkpointHash(checkpoint: Checkpoint): string {
  const hash = createHash("sha256").update(JSON.stringify(checkpoint.state));
  return hashTensors(hash, tensorsOf(checkpoint)).digest("hex");
}

function integrityOf(config: string, state: string, tensors: readonly NamedTensor[]): string {
  return hashTensors(createHash("sha256").update(config).update(state), tensors).digest("hex");
}

function encode(checkpoint: Checkpoint): Uint8Array {
  const config = JSON.stringify(checkpoint.config);
  const state = JSON.stringify(checkpoint.state);
  const tensors = tensorsOf(checkpoint);
  return encodeSafetensors(tensors, {
    format: FORMAT,
    config,
    state,
    sha256: integrityOf(config, state, tensors),
  });
}

function decode(bytes: Uint8Array, where: string): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, where);
  const { format, config = "", state = "", sha256 } = metadata;
  if (format !== FORMAT) {
    throw new SkeinError(
      "CHECKPOINT_UNREADABLE",
      `${where}: expected format ${FORMAT}, got ${format ?? "none"}; give a checkpoint that skein train wrote`,
    );
  }
  const found = integrityOf(config, state, tensors);
  if (found !== sha256) {
    throw new SkeinError(
      "CHECKPOINT_UNREADABLE",
      `${where}: expected checksum ${sha256 ?? "none"}, got ${found}; the file is damaged, use an earlier checkpoint`,
    );
  }
  const parsed = stateSchema.parse(JSON.parse(state));
  const under = (prefix: string): NamedTensor[] =>
    tensors
      .filter(({ name }) => name.startsWith(`${prefix}/`))
      .map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length + 1) }));
  return {
    config: JSON.parse(config) as unknown,
    state: parsed,
    weights: { version: parsed.policyVersion, tensors: under("weights") },
    optimizer: under("optimizer"),
  };
}

/** Throws CHECKPOINT_UNREADABLE where the file is missing, truncated, damaged or something else. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new SkeinError("CHECKPOINT_UNREADABLE", `cannot read checkpoint ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return decode(bytes, path);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Paths of a folder's checkpoints, oldest first. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch {
    return [];
  }
  const version = (name: string): number => Number(FILE_PATTERN.exec(name)?.[1] ?? Number.NaN);
  return names
    .filter((name) => FILE_PATTERN.test(name))
    .sort((a, b) => version(a) - version(b))
    .map((name) => join(folder, name));
}

/**
 * Writes `checkpoint` into `folder` (beside, synced, then renamed: a crash leaves the old files whole) and
 * deletes all but the newest `keep`. Returns its path.
 */
export async function writeCheckpoint(folder: string, checkpoint: Checkpoint, keep: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `checkpoint-${String(checkpoint.state.policyVersion).padStart(8, "0")}.safetensors`;
  const path = join(folder, name);
  const partial = path + PARTIAL_SUFFIX;
  const handle = await open(partial, "w");
  try {
    await handle.writeFile(encode(checkpoint));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, path);
  await syncFolder(folder);
  const old = (await listCheckpoints(folder)).slice(0, -keep);
  const partials = (await readdir(folder)).filter((file) => file.endsWith(PARTIAL_SUFFIX));
  await Promise.all(
    [...old, ...partials.map((file) => join(folder, file))].map((file) => rm(file, { force: true })),
  );
  return path;
}
