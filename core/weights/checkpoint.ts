/**
 * Checkpoints: everything training needs to go on, in one safetensors file (checkpoint-writer.ts writes it).
 * The checkpoint's hash covers what was learned (state and tensors), not settings such as ports.
 */
import { createHash, type Hash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, SkeinError } from "../errors.js";
import type { RandomState } from "../random.js";
import { VERDICTS, type Outcome } from "../transport/transport.js";
import type { NamedTensor, WeightsSnapshot } from "../types.js";
import { ledgerStateSchema, type LedgerState } from "./ledger-state.js";
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
  /** Which work is settled: what must not be trained on again from here. */
  readonly ledger: LedgerState;
  readonly random: RandomState;
  /** State of each of the recipe's trackers, by name. */
  readonly trackers: Readonly<Record<string, unknown>>;
  readonly optimizerSteps: number;
}

export interface Checkpoint {
  /** The resolved run file. */
  readonly config: unknown;
  readonly state: TrainingState;
  /**
   * What became of rollouts and was not confirmed by the coordinator yet: to be said again by whoever goes on from
   * here. Not part of the hash: it depends on when reports come through.
   */
  readonly outcomes: readonly Outcome[];
  readonly weights: WeightsSnapshot;
  /** Moments `m/<parameter>` and `v/<parameter>`. */
  readonly optimizer: readonly NamedTensor[];
  /** Weights of the reference policy; empty = there is none. */
  readonly reference: readonly NamedTensor[];
}

const FORMAT = "skein-checkpoint-2";
const FILE_PATTERN = /^checkpoint-(\d{8,})\.safetensors$/;

/** The file that a checkpoint of `version` is in. */
export function checkpointName(version: number): string {
  return `checkpoint-${String(version).padStart(8, "0")}.safetensors`;
}

const count = z.int().min(0);
const stateSchema: z.ZodType<TrainingState> = z.object({
  policyVersion: count,
  updates: count,
  envSteps: count,
  episodes: count,
  recentReturns: z.array(z.number()),
  ledger: ledgerStateSchema,
  random: z.tuple([count, count, count, count]),
  trackers: z.record(z.string(), z.unknown()),
  optimizerSteps: count,
});

// JSON writes NaN as null.
const maybeNaN = z.nullable(z.number()).transform((value) => value ?? Number.NaN);
const outcomesSchema: z.ZodType<readonly Outcome[]> = z.array(
  z.object({
    requestId: count,
    verdict: z.enum(VERDICTS),
    reason: z.string(),
    steps: count,
    version: z.int().min(-1),
    episodeReturn: maybeNaN,
    episodeLength: maybeNaN,
  }),
);

function tensorsOf(checkpoint: Checkpoint): NamedTensor[] {
  const renamed = (prefix: string, tensors: readonly NamedTensor[]): NamedTensor[] =>
    tensors.map((tensor) => ({ ...tensor, name: `${prefix}/${tensor.name}` }));
  const { weights, optimizer, reference } = checkpoint;
  return [
    ...renamed("weights", weights.tensors),
    ...renamed("optimizer", optimizer),
    ...renamed("reference", reference),
  ];
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

function integrityOf(texts: readonly string[], tensors: readonly NamedTensor[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(text);
  return hashTensors(hash, tensors).digest("hex");
}

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const config = JSON.stringify(checkpoint.config);
  const state = JSON.stringify(checkpoint.state);
  const outcomes = JSON.stringify(checkpoint.outcomes);
  const tensors = tensorsOf(checkpoint);
  return encodeSafetensors(tensors, {
    format: FORMAT,
    config,
    state,
    outcomes,
    sha256: integrityOf([config, state, outcomes], tensors),
  });
}

function decode(bytes: Uint8Array, where: string): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, where);
  const { format, config = "", state = "", outcomes = "", sha256 } = metadata;
  if (format !== FORMAT) {
    throw new SkeinError(
      "CHECKPOINT_UNREADABLE",
      `${where}: expected format ${FORMAT}, got ${format ?? "none"}; give a checkpoint that this version of skein train wrote`,
    );
  }
  const found = integrityOf([config, state, outcomes], tensors);
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
    outcomes: outcomesSchema.parse(JSON.parse(outcomes)),
    weights: { version: parsed.policyVersion, tensors: under("weights") },
    optimizer: under("optimizer"),
    reference: under("reference"),
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
