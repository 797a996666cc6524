/** Typed arrays between threads: moved with their memory instead of copied. */
import type { TransferListItem } from "node:worker_threads";

/**
 * The memory under every typed array within `value` (plain objects and lists), each piece once: what to transfer so
 * that `value` is moved. Every array of the sender that lies in that memory is empty afterwards.
 */
export function buffersOf(value: unknown): TransferListItem[] {
  const found = new Set<ArrayBuffer>();
  const look = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    if (ArrayBuffer.isView(part)) {
      // Memory of no bytes may be one piece that everybody shares.
      if (part.buffer instanceof ArrayBuffer && part.buffer.byteLength > 0) found.add(part.buffer);
    } else {
      for (const inner of Object.values(part)) look(inner);
    }
  };
  look(value);
  return [...found];
}
