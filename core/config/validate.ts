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

/** The object schema that `schema` means for `value`: itself, or the option of a union that its discriminator picks. */
function objectFor(schema: z.ZodType, value: unknown): z.ZodObject | null {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) return inner;
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return null;
  const { discriminator, options } = inner.def as unknown as {
    readonly discriminator: string;
    readonly options: readonly z.ZodObject[];
  };
  const tag = valueAt(value, [discriminator]);
  return options.find(({ shape }) => (shape[discriminator] as z.ZodType).safeParse(tag).success) ?? null;
}

/** The keys an object schema knows at `path` of `input`; empty where the path leads elsewhere. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[], input: unknown): string[] {
  let object = objectFor(schema, input);
  for (const [depth, key] of path.entries()) {
    const next: unknown = (object?.shape as Record<PropertyKey, unknown> | undefined)?.[key];
    if (!(next instanceof z.ZodType)) return [];
    object = objectFor(next, valueAt(input, path.slice(0, depth + 1)));
  }
  return object === null ? [] : Object.keys(object.shape);
}

function describe(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  input: unknown,
  prefix: readonly string[],
): string[] {
  const path = [...prefix, ...issue.path.map(String)].join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path, input);
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
