/**
 * Gestalt pattern matching (Ratcliff & Metzener 1988): 2·M / (|a| + |b|), M = characters of the longest common substring
 * and, on either side of it, again. Python's `difflib.SequenceMatcher(autojunk=False).ratio()` on UTF-16 code units.
 */

/** The longest substring that a[aFrom, aTo) and b[bFrom, bTo) share; of several the one that begins first in a, then in b. */
function longestMatch(
  a: string,
  places: ReadonlyMap<number, readonly number[]>,
  [aFrom, aTo, bFrom, bTo]: Span,
): readonly [a: number, b: number, length: number] {
  let best: [number, number, number] = [aFrom, bFrom, 0];
  let ending = new Map<number, number>();
  for (let i = aFrom; i < aTo; i++) {
    const now = new Map<number, number>();
    for (const j of places.get(a.charCodeAt(i)) ?? []) {
      if (j < bFrom) continue;
      if (j >= bTo) break;
      const length = (ending.get(j - 1) ?? 0) + 1;
      now.set(j, length);
      if (length > best[2]) best = [i - length + 1, j - length + 1, length];
    }
    ending = now;
  }
  return best;
}

type Span = readonly [aFrom: number, aTo: number, bFrom: number, bTo: number];

/** From 0 (nothing in common) to 1 (equal; two empty texts are). */
export function similarity(a: string, b: string): number {
  if (a === b) return 1;
  const places = new Map<number, number[]>();
  for (let j = 0; j < b.length; j++) {
    const code = b.charCodeAt(j);
    const there = places.get(code);
    if (there === undefined) places.set(code, [j]);
    else there.push(j);
  }
  let matched = 0;
  const open: Span[] = [[0, a.length, 0, b.length]];
  for (let span = open.pop(); span !== undefined; span = open.pop()) {
    const [i, j, length] = longestMatch(a, places, span);
    if (length === 0) continue;
    matched += length;
    const [aFrom, aTo, bFrom, bTo] = span;
    open.push([aFrom, i, bFrom, j], [i + length, aTo, j + length, bTo]);
  }
  return (2 * matched) / (a.length + b.length);
}
