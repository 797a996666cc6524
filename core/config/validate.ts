/** Strict validation: every complaint names the key, what was expected, what was got and the nearest known key. */
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { SkeinError, type ErrorCode } from "../errors.js";

/** The entry of `known` closest to `word`, or null where nothing is near enough to be a slip of the pen. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 2)) + 1;
  for (const candidate of known) {
    const d = distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** ` Did you mean "x"?` or, with nothing near, ` Known: a, b, c.` */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === null ? ` Known: ${[...known].sort().join(", ")}.` : ` Did you mean "${near}"?`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

/** The keys an object schema knows at `path`; empty where the path leads elsewhere. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let inner = unwrap(schema);
  for (const key of path) {
    if (!(inner instanceof z.ZodObject)) return [];
    const next: unknown = (inner.shape as Record<PropertyKey, unknown>)[key];
    if (!(next instanceof z.ZodType)) return [];
    inner = unwrap(next);
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function describe(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  input: unknown,
  prefix: readonly string[],
): string[] {
  const path = [...prefix, ...issue.path.map(String)].join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => {
      const full = path === "" ? key : `${path}.${key}`;
      return `unknown key "${full}".${suggestion(key, known)}`;
    });
  }
  const got = valueAt(input, issue.path);
  // JSON would show NaN and infinities as null.
  const shown = got === undefined ? "nothing" : typeof got === "number" ? String(got) : JSON.stringify(got);
  return [
    `${path === "" ? "(root)" : path}: ${issue.message.replace(/^Invalid input: /, "").replace(/, received .*$/, "")}, got ${shown}`,
  ];
}

/** Parses `input`, or throws `code` listing every complaint. `prefix` is where the input sits in the run file. */
export function parseStrict<T>(
  schema: z.ZodType<T>,
  input: unknown,
  where: string,
  prefix: readonly string[] = [],
  code: ErrorCode = "CONFIG_INVALID",
): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const lines = result.error.issues.flatMap((issue) => describe(issue, schema, input, prefix));
  throw new SkeinError(code, `${where}: ${lines.join("; ")}`);
}
