/** Values that a schema allows and nobody sends. */
import type { Random } from "../../core/random.js";

const NUMBERS = [
  0,
  1,
  -1,
  2,
  255,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 40,
  2 ** 53 - 1,
  1e300,
  0.1,
];
const ODD = [NaN, Infinity, -Infinity, -0, -(2 ** 31), 2 ** 53, 2 ** 63];
const TEXTS = [
  "",
  " ",
  "\0",
  "../../etc/passwd",
  "ünïcödé \u{1f9f6}",
  "a\nb\rc",
  "'; DROP TABLE requests; --",
  "__proto__",
];

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.integer(values.length)]!;
}

function wildText(random: Random): string {
  return random.integer(8) === 0 ? "x".repeat(1 + random.integer(10_000)) : pick(random, TEXTS);
}

function wildNumber(random: Random): number {
  if (random.integer(4) === 0) return pick(random, ODD);
  return random.integer(2) === 0 ? pick(random, NUMBERS) : random.integer(1000);
}

function wildList(random: Random, list: readonly unknown[]): unknown[] {
  const changed = list.map((item) => wild(random, item));
  if (random.integer(4) > 0 || changed.length === 0) return changed;
  return Array.from({ length: random.integer(1000) }, (_, i): unknown => changed[i % changed.length]);
}

/**
 * `value` (plain objects, lists, texts, numbers, flags, null and byte arrays) with about one in four of its leaves
 * replaced by an extreme of the same type; `keep` names fields that stay.
 */
export function wild<T>(random: Random, value: T, keep: readonly string[] = []): T {
  const change = (part: unknown): unknown => {
    if (part instanceof Uint8Array || part === null) return part;
    if (Array.isArray(part)) return wildList(random, part as unknown[]);
    if (typeof part === "object") {
      const fields = Object.entries(part as Record<string, unknown>).map(([key, inner]) => [
        key,
        keep.includes(key) ? inner : change(inner),
      ]);
      return Object.fromEntries(fields);
    }
    if (random.integer(4) > 0) return part;
    if (typeof part === "string") return wildText(random);
    if (typeof part === "boolean") return !part;
    return typeof part === "number" ? wildNumber(random) : part;
  };
  return change(value) as T;
}

export function noise(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: random.integer(most + 1) }, () => random.integer(256));
}
