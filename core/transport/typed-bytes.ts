/** Typed arrays as raw little-endian bytes and back, copying only what is misaligned. */
import { SkeinError } from "../errors.js";
import { corrupt } from "./schema.js";

export type ColumnArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Names of the DType enum of frame.proto. */
export type WireDType = "DTYPE_FLOAT32" | "DTYPE_INT32" | "DTYPE_UINT32" | "DTYPE_UINT8";

if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
  throw new SkeinError(
    "INTERNAL",
    "Skein needs a little-endian machine: arrays travel as they lie in memory",
  );
}

export function dtypeOf(array: ColumnArray): WireDType {
  if (array instanceof Float32Array) return "DTYPE_FLOAT32";
  if (array instanceof Int32Array) return "DTYPE_INT32";
  return array instanceof Uint32Array ? "DTYPE_UINT32" : "DTYPE_UINT8";
}

/** The bytes of `array`, not copied. */
export function bytesOf(array: ColumnArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The array that `bytes` hold: a view where the alignment allows it, else a copy. Throws MESSAGE_CORRUPT. */
export function arrayOf(where: string, dtype: string | number, bytes: Uint8Array): ColumnArray {
  switch (dtype) {
    case "DTYPE_UINT8":
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    case "DTYPE_FLOAT32": {
      const { buffer, byteOffset, length } = words(where, bytes);
      return new Float32Array(buffer, byteOffset, length);
    }
    case "DTYPE_INT32": {
      const { buffer, byteOffset, length } = words(where, bytes);
      return new Int32Array(buffer, byteOffset, length);
    }
    case "DTYPE_UINT32": {
      const { buffer, byteOffset, length } = words(where, bytes);
      return new Uint32Array(buffer, byteOffset, length);
    }
    default:
      throw corrupt(where, "a known dtype", String(dtype));
  }
}

function words(
  where: string,
  bytes: Uint8Array,
): { buffer: ArrayBufferLike; byteOffset: number; length: number } {
  if (bytes.byteLength % 4 !== 0) throw corrupt(where, "a multiple of 4 bytes", `${bytes.byteLength} bytes`);
  const length = bytes.byteLength / 4;
  if (bytes.byteOffset % 4 === 0) return { buffer: bytes.buffer, byteOffset: bytes.byteOffset, length };
  return { buffer: new Uint8Array(bytes).buffer, byteOffset: 0, length };
}
