/** What a version of the weights is, by hash: said by the learner once, checked by everybody who receives it. */
import { createHash } from "node:crypto";
import { SkeinError } from "../errors.js";
import { corrupt } from "../transport/schema.js";
import type { NamedTensor, TensorEntry, WeightsManifest, WeightsSnapshot } from "../types.js";

export const BYTES_PER_ELEMENT = 4;

export function bytesOfTensor({ data }: NamedTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The form of the payload that a manifest comes with. */
export function modeOf({ parent }: WeightsManifest): "full" | "delta" {
  return parent === null ? "full" : "delta";
}

/** Elements of a tensor of that shape. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** SHA-256, hex, over name, dtype, shape and hash of each tensor in order: says exactly which weights these are. */
export function rootHashOf(tensors: readonly TensorEntry[]): string {
  const line = ({ name, dtype, shape, sha256: hash }: TensorEntry): string =>
    `${JSON.stringify([name, dtype, shape, hash])}\n`;
  return sha256(...tensors.map(line));
}

/**
 * The manifest of a full payload. Throws SHAPE where a tensor's data contradict its shape, REFUSED where a number is
 * NaN or infinite: such weights must not be published.
 */
export function describeWeights({ version, tensors }: WeightsSnapshot): WeightsManifest {
  const entries = tensors.map((tensor): TensorEntry => {
    const { name, dtype, shape, data } = tensor;
    const expected = elementsOf(shape);
    if (data.length !== expected) {
      const message = `tensor "${name}": expected data [${expected}], got [${data.length}]`;
      throw new SkeinError("SHAPE", message);
    }
    if (!allFinite(data)) {
      const advice = "lower the learning rate or go on from an earlier checkpoint";
      const message = `weights ${version}, tensor "${name}": expected finite numbers, got NaN or infinity: ${advice}`;
      throw new SkeinError("REFUSED", message);
    }
    return { name, dtype, shape, bytes: data.byteLength, sha256: sha256(bytesOfTensor(tensor)) };
  });
  return { version, parent: null, tensors: entries, rootHash: rootHashOf(entries) };
}

/** Throws MESSAGE_CORRUPT unless `tensor` holds exactly the bytes that `entry` names. */
export function expectTensor(where: string, entry: TensorEntry, tensor: NamedTensor): void {
  const got = sha256(bytesOfTensor(tensor));
  if (got === entry.sha256) return;
  const message = `${where}, tensor "${entry.name}": expected SHA-256 ${entry.sha256}, got ${got}`;
  throw new SkeinError("MESSAGE_CORRUPT", message);
}

/** Throws MESSAGE_CORRUPT unless the manifest agrees with itself. */
export function checkManifest({ version, parent, tensors, rootHash }: WeightsManifest): void {
  const where = `manifest of weights ${version}`;
  for (const { name, shape, bytes } of tensors) {
    const expected = BYTES_PER_ELEMENT * elementsOf(shape);
    if (bytes !== expected) throw corrupt(`${where}, tensor "${name}"`, `${expected} bytes`, `${bytes}`);
  }
  if (parent !== null && parent >= version) throw corrupt(where, "an earlier parent", `${parent}`);
  const expected = rootHashOf(tensors);
  if (rootHash !== expected) throw corrupt(where, `root hash ${expected}`, rootHash);
}

function allFinite(data: NamedTensor["data"]): boolean {
  // 0 · x is NaN exactly where x is not finite, and NaN stays in a sum.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += 0 * data[i]!;
  return sum === 0;
}
