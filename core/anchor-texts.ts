/** The distinct anchor keys of a rollout as one column of bytes: UTF-8, separated by U+0000. */

const SEPARATOR = "\u0000";

/** What no anchor key may hold: the separator, and halves of surrogate pairs, which are no text in UTF-8. */
export const NO_ANCHOR_TEXT = /[\u0000\p{Surrogate}]/u;

export function joinAnchorTexts(texts: Iterable<string>): Uint8Array {
  return new TextEncoder().encode([...texts].join(SEPARATOR));
}

/** One text at least: nothing is the empty one. */
export function splitAnchorTexts(bytes: Uint8Array): string[] {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split(SEPARATOR);
}

/** `splitAnchorTexts(bytes).length`, without making the texts. */
export function countAnchorTexts(bytes: Uint8Array): number {
  let count = 1;
  for (const byte of bytes) if (byte === 0) count++;
  return count;
}
