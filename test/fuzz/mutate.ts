/** Seeded damage to encoded messages, for fuzzing decoders. */
import type { Random } from "../../core/random.js";
import { SkeinError } from "../../core/errors.js";

/** A copy of `bytes` with one to four random injuries: flips, cuts, insertions, repeats, swaps, overwrites. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let damaged = Buffer.from(bytes);
  const injuries = 1 + random.integer(4);
  for (let i = 0; i < injuries && damaged.length > 0; i++) damaged = injure(damaged, random);
  return damaged;
}

function injure(bytes: Buffer, random: Random): Buffer<ArrayBuffer> {
  // Half of the injuries strike near the front, where the structure is.
  const reach = random.integer(2) === 0 ? Math.min(bytes.length, 200) : bytes.length;
  const at = random.integer(reach);
  const length = Math.min(bytes.length - at, 1 + random.integer(16));
  const copy = Buffer.from(bytes);
  switch (random.integer(7)) {
    case 0:
      copy[at]! ^= 1 << random.integer(8);
      return copy;
    case 1:
      copy[at] = random.integer(256);
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
    case 4:
      return Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]);
    case 5: {
      const noise = Buffer.from(Array.from({ length }, () => random.integer(256)));
      return Buffer.concat([copy.subarray(0, at), noise, copy.subarray(at)]);
    }
    default:
      // The largest varint: lengths and counts beyond all bounds.
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.alloc(9, 0xff),
        Buffer.of(1),
        copy.subarray(at + length),
      ]);
  }
}

/** True where `decode` returns, false where it throws a SkeinError; anything else it throws is thrown on. */
export function decodes(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch (error) {
    if (error instanceof SkeinError) return false;
    throw error;
  }
}
