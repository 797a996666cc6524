/**
 * The safetensors file format (8-byte little-endian header length, JSON header, raw tensors): readable from
 * Python, Rust and JavaScript alike.
 */
import { z } from "zod";
import { SkeinError } from "../errors.js";
import type { DType, NamedTensor } from "../types.js";

const FILE_DTYPES: Record<DType, string> = { float32: "F32", int32: "I32" };
const BYTES_PER_ELEMENT = 4;

const count = z.int().min(0);
const headerSchema = z
  .object({ __metadata__: z.record(z.string(), z.string()).default({}) })
  .catchall(z.object({ dtype: z.string(), shape: z.array(count), data_offsets: z.tuple([count, count]) }));

/** `metadata` values are strings, as the format asks. */
export function encodeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype: FILE_DTYPES[dtype], shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header), "utf8");
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = Buffer.alloc(8 + padded + at, " ");
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  text.copy(bytes, 8);
  let offset = 8 + padded;
  for (const { data } of tensors) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/** Throws CHECKPOINT_UNREADABLE, naming `where`, for anything that is not a whole file of this format. */
export function decodeSafetensors(
  bytes: Uint8Array,
  where: string,
): { readonly tensors: readonly NamedTensor[]; readonly metadata: Readonly<Record<string, string>> } {
  const unreadable = (why: string): SkeinError =>
    new SkeinError("CHECKPOINT_UNREADABLE", `${where}: ${why}; use an earlier checkpoint of the run folder`);
  if (bytes.byteLength < 8) throw unreadable(`expected at least 8 bytes, got ${bytes.byteLength}`);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.readBigUInt64LE(0));
  if (headerLength > bytes.byteLength - 8) {
    throw unreadable(
      `expected a header of ${headerLength} bytes, got a file of ${bytes.byteLength} (truncated?)`,
    );
  }
  let header: z.output<typeof headerSchema>;
  try {
    header = headerSchema.parse(JSON.parse(view.toString("utf8", 8, 8 + headerLength)));
  } catch (error) {
    throw new SkeinError(
      "CHECKPOINT_UNREADABLE",
      `${where}: expected a safetensors header, got something else; the file is damaged or of another kind`,
      { cause: error },
    );
  }
  const { __metadata__: metadata, ...entries } = header;
  const start = 8 + headerLength;
  const tensors = Object.entries(entries).map(([name, entry]): NamedTensor => {
    const { dtype, shape, data_offsets: range } = entry;
    const known = (Object.keys(FILE_DTYPES) as DType[]).find((candidate) => FILE_DTYPES[candidate] === dtype);
    if (known === undefined) throw unreadable(`tensor ${name}: expected dtype F32 or I32, got ${dtype}`);
    const size = shape.reduce((a, b) => a * b, 1);
    const [from, to] = range;
    if (to - from !== size * BYTES_PER_ELEMENT) {
      throw unreadable(`tensor ${name}: expected ${size * BYTES_PER_ELEMENT} bytes, got ${to - from}`);
    }
    if (start + to > bytes.byteLength) {
      throw unreadable(`expected ${start + to} bytes or more, got ${bytes.byteLength} (truncated)`);
    }
    const { buffer } = new Uint8Array(bytes.subarray(start + from, start + to));
    const data = known === "float32" ? new Float32Array(buffer) : new Int32Array(buffer);
    return { name, dtype: known, shape, data };
  });
  return { tensors, metadata };
}
