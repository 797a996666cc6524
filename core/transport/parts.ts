/**
 * Messages written without copying what is long in them: the short fields are encoded by the schema, a long bytes field
 * that comes last is joined to them by its two numbers, tag and length, which is all of protobuf that is written by hand.
 */

/** Wire type of a field that says its length. */
const LENGTH_DELIMITED = 2;

/** Bytes that number `field`, of at most 15, and `length` take in front of a bytes field. */
function prefixLength(length: number): number {
  let bytes = 2;
  for (let rest = length; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** What stands in front of a bytes field of number `field`, of at most 15. */
export function prefixOf(field: number, length: number): Uint8Array {
  const prefix = new Uint8Array(prefixLength(length));
  prefix[0] = (field << 3) | LENGTH_DELIMITED;
  let rest = length;
  for (let at = 1; at < prefix.length - 1; at++) {
    prefix[at] = 128 | (rest & 127);
    rest = Math.floor(rest / 128);
  }
  prefix[prefix.length - 1] = rest;
  return prefix;
}

/** Where a long field goes: its number, and that of a field of padding before it. */
export interface Slot {
  readonly field: number;
  readonly padding: number;
}

/**
 * What to write before a field of `length` bytes so that it begins `past` bytes after a multiple of 4, where `at` bytes
 * stand before: padding, tag and length.
 */
export function alignedPrefix(slot: Slot, length: number, at: number, past = 0): Uint8Array {
  const last = prefixOf(slot.field, length);
  const pad = (((past - at - 2 - last.length) % 4) + 4) % 4;
  const prefix = new Uint8Array(2 + pad + last.length);
  prefix.set(prefixOf(slot.padding, pad));
  prefix.set(last, 2 + pad);
  return prefix;
}

export function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/** One after the other, in memory of their own. */
export function together(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(lengthOf(parts));
  new PartReader(parts).fill(bytes, 0, bytes.byteLength);
  return bytes;
}

/** Reads through parts as if they were one. */
export class PartReader {
  private part = 0;
  private at = 0;

  constructor(private readonly parts: readonly Uint8Array[]) {}

  /** Copies the next `length` bytes to `target` from `offset` on. */
  fill(target: Uint8Array, offset: number, length: number): void {
    const end = offset + length;
    while (offset < end) {
      const part = this.parts[this.part]!;
      const piece = part.subarray(this.at, this.at + end - offset);
      target.set(piece, offset);
      offset += piece.byteLength;
      this.at += piece.byteLength;
      if (this.at === part.byteLength) {
        this.part += 1;
        this.at = 0;
      }
    }
  }
}
