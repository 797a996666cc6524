/** The distinct anchor keys of a rollout as one column of bytes: UTF-8, separated by U+0000. */

const SEPARATOR = "\u0000";

/** False with the separator in it, or half a surrogate pair, which is no text in UTF-8. */
export function isAnchorText(text: string): boolean {
  return !text.includes(SEPARATOR) && !/\p{Surrogate}/u.test(text);
}

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
