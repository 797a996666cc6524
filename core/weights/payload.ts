/**
 * The two forms in which weights travel. Full: the bytes of every tensor, one after the other. Delta: for each tensor
 * the entries that changed since the parent version, compared bit by bit, as values and never as differences, so a
 * chain of deltas ends with exactly the bytes of the full weights.
 *
 * A tensor of a delta is a uint32 n, then n uint32 indices unless n is 0 or every entry, then n values of 4 bytes.
 */
import { corrupt } from "../transport/schema.js";
import type { WeightsDelivery } from "../transport/transport.js";
import type { NamedTensor, TensorEntry, WeightsManifest, WeightsSnapshot } from "../types.js";
import {
  BYTES_PER_ELEMENT,
  bytesOfTensor,
  checkManifest,
  describeWeights,
  elementsOf,
  expectTensor,
} from "./manifest.js";

/** Weights whose every tensor has been checked against the manifest. Immutable. */
export interface VerifiedWeights {
  /** Of the full payload. */
  readonly manifest: WeightsManifest;
  /** Full. */
  readonly payload: Uint8Array;
  /** Views the payload. */
  readonly snapshot: WeightsSnapshot;
}

/** Copies the weights of this process. Throws as `describeWeights` does. */
export function weightsOf(snapshot: WeightsSnapshot): VerifiedWeights {
  const manifest = describeWeights(snapshot);
  const payload = new Uint8Array(manifest.tensors.reduce((sum, { bytes }) => sum + bytes, 0));
  let at = 0;
  for (const tensor of snapshot.tensors) {
    payload.set(bytesOfTensor(tensor), at);
    at += tensor.data.byteLength;
  }
  return { manifest, payload, snapshot: snapshotOf(manifest, payload) };
}

/** The delta that makes `to` of `from`; null where it would not be smaller than the full payload, or layouts differ. */
export function encodeDelta(from: VerifiedWeights, to: VerifiedWeights): Uint8Array | null {
  if (!sameLayout(from.manifest, to.manifest)) return null;
  const parts = to.snapshot.tensors.map((tensor, i) => {
    const unchanged = from.manifest.tensors[i]!.sha256 === to.manifest.tensors[i]!.sha256;
    const before = bitsOf(from.snapshot.tensors[i]!);
    const after = bitsOf(tensor);
    const changed = unchanged ? 0 : countChanged(before, after);
    // Indices cost as much as values: from half of the entries on, all of them are no more.
    return { before, after, count: 2 * changed < after.length ? changed : after.length };
  });
  const words = parts.reduce((sum, { after, count }) => sum + 1 + wordsOf(count, after.length), 0);
  if (words * BYTES_PER_ELEMENT >= to.payload.byteLength) return null;
  const payload = new Int32Array(words);
  let at = 0;
  for (const { before, after, count } of parts) {
    payload[at++] = count;
    if (count === after.length) payload.set(after, at);
    else writeChanged(payload, at, count, before, after);
    at += wordsOf(count, after.length);
  }
  return new Uint8Array(payload.buffer);
}

/**
 * The weights that a delivery brings, once every tensor has been checked against its hash. The payload's memory must
 * stay as it is afterwards. Throws MESSAGE_CORRUPT where the manifest contradicts itself or is not of `rootHash`, where
 * the payload does not make what it says, or is a delta from other weights than `base`.
 */
export function verifyWeights(
  { manifest, payload }: WeightsDelivery,
  rootHash: string,
  base: VerifiedWeights | null,
): VerifiedWeights {
  checkManifest(manifest);
  const where = `weights ${manifest.version}`;
  if (manifest.rootHash !== rootHash) throw corrupt(where, `root hash ${rootHash}`, manifest.rootHash);
  if (manifest.parent !== null) return applyDelta(manifest, payload, base);
  const bytes = manifest.tensors.reduce((sum, entry) => sum + entry.bytes, 0);
  if (payload.byteLength !== bytes) throw corrupt(where, `${bytes} bytes`, `${payload.byteLength}`);
  // Elements of 4 bytes cannot be viewed anywhere else.
  const aligned = payload.byteOffset % BYTES_PER_ELEMENT === 0 ? payload : new Uint8Array(payload);
  const snapshot = snapshotOf(manifest, aligned);
  for (const [i, entry] of manifest.tensors.entries()) expectTensor(where, entry, snapshot.tensors[i]!);
  return { manifest, payload: aligned, snapshot };
}

function applyDelta(
  manifest: WeightsManifest,
  payload: Uint8Array,
  base: VerifiedWeights | null,
): VerifiedWeights {
  const where = `weights ${manifest.version}`;
  if (base?.manifest.version !== manifest.parent || !sameLayout(base.manifest, manifest)) {
    throw corrupt(where, "a delta from weights at hand, of the same layout", `one from ${manifest.parent}`);
  }
  const full = new Uint8Array(base.payload);
  const snapshot = snapshotOf(manifest, full);
  const reader = new WordReader(where, payload);
  for (const [i, entry] of manifest.tensors.entries()) {
    const tensor = snapshot.tensors[i]!;
    const changed = readChanged(`${where}, tensor "${entry.name}"`, reader, bitsOf(tensor));
    // The base has been checked: what did not change need not be hashed again.
    if (changed || base.manifest.tensors[i]!.sha256 !== entry.sha256) expectTensor(where, entry, tensor);
  }
  reader.expectEnd();
  return { manifest: { ...manifest, parent: null }, payload: full, snapshot };
}

function snapshotOf({ version, tensors }: WeightsManifest, payload: Uint8Array): WeightsSnapshot {
  let at = payload.byteOffset;
  const views = tensors.map(({ name, dtype, shape, bytes }): NamedTensor => {
    const length = elementsOf(shape);
    const data =
      dtype === "int32"
        ? new Int32Array(payload.buffer, at, length)
        : new Float32Array(payload.buffer, at, length);
    at += bytes;
    return { name, dtype, shape, data };
  });
  return { version, tensors: views };
}

function sameLayout(a: WeightsManifest, b: WeightsManifest): boolean {
  const layout = ({ name, dtype, shape }: TensorEntry): string => JSON.stringify([name, dtype, shape]);
  return (
    a.tensors.length === b.tensors.length &&
    a.tensors.every((entry, i) => layout(entry) === layout(b.tensors[i]!))
  );
}

function bitsOf({ data }: NamedTensor): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.length);
}

function countChanged(before: Int32Array, after: Int32Array): number {
  let changed = 0;
  for (let i = 0; i < after.length; i++) if (before[i] !== after[i]) changed++;
  return changed;
}

/** Words that `count` changed entries of a tensor take. */
function wordsOf(count: number, length: number): number {
  return count === length ? count : 2 * count;
}

function writeChanged(
  payload: Int32Array,
  at: number,
  count: number,
  before: Int32Array,
  after: Int32Array,
): void {
  let k = at;
  for (let i = 0; i < after.length; i++) {
    if (before[i] === after[i]) continue;
    payload[k] = i;
    payload[k + count] = after[i]!;
    k++;
  }
}

/** Writes the next tensor's changed entries into `bits`; false where there are none. */
function readChanged(where: string, reader: WordReader, bits: Int32Array): boolean {
  const count = reader.take(1)[0]! >>> 0;
  if (count > bits.length) throw corrupt(where, `at most ${bits.length} entries`, `${count}`);
  if (count === bits.length) {
    bits.set(reader.take(count));
    return count > 0;
  }
  const indices = reader.take(count);
  const values = reader.take(count);
  for (let k = 0; k < count; k++) {
    const index = indices[k]! >>> 0;
    if (index >= bits.length) throw corrupt(where, `an index below ${bits.length}`, `${index}`);
    bits[index] = values[k]!;
  }
  return count > 0;
}

class WordReader {
  private readonly words: Int32Array;
  private at = 0;

  constructor(
    private readonly where: string,
    payload: Uint8Array,
  ) {
    const count = payload.byteLength / BYTES_PER_ELEMENT;
    if (!Number.isInteger(count)) throw corrupt(where, "whole words", `${payload.byteLength} bytes`);
    const aligned = payload.byteOffset % BYTES_PER_ELEMENT === 0 ? payload : new Uint8Array(payload);
    this.words = new Int32Array(aligned.buffer, aligned.byteOffset, count);
  }

  /** A view of the next `count` words. */
  take(count: number): Int32Array {
    const from = this.at;
    if (from + count > this.words.length) {
      const got = `${this.words.length} (truncated?)`;
      throw corrupt(this.where, `${from + count} words or more`, got);
    }
    this.at += count;
    return this.words.subarray(from, this.at);
  }

  expectEnd(): void {
    if (this.at === this.words.length) return;
    throw corrupt(this.where, `${this.at} words`, `${this.words.length}`);
  }
}
