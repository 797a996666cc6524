/**
 * What a user's environment returned, checked against its spec. Each function returns a complaint (what, got)
 * or null: the caller knows which environment, instance and step it is about.
 */
import { inspect } from "node:util";
import { isAnchorText } from "../anchor-texts.js";
import type { StepResult } from "./environment.js";
import type { NamedNumbers } from "./named-numbers.js";
import { choicesOf, describeSpace, widthOf, type Space } from "./spaces.js";

/** A value on one short line. */
export function show(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 8, maxStringLength: 60 });
}

/** Finite in float32, which is how observations and rewards travel: 1e300 is not. */
function isFiniteNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return typeof value === "object" && value !== null && "length" in value && typeof value.length === "number";
}

function complainAboutIndex(name: string, value: unknown, n: number): string | null {
  const fits = typeof value === "number" && Number.isInteger(value) && value >= 0 && value < n;
  return fits ? null : `${name} is ${show(value)}, expected an integer 0 … ${n - 1}`;
}

/** Writes `observation` to `out` from `at` on, or says why it is no element of `space`. */
export function writeObservation(
  space: Space,
  observation: unknown,
  out: Float32Array,
  at: number,
): string | null {
  if (space.kind === "discrete") {
    const complaint = complainAboutIndex("observation", observation, space.n);
    if (complaint === null) out[at] = observation as number;
    return complaint;
  }
  const width = widthOf(space);
  if (!isArrayLike(observation)) {
    return `observation is ${show(observation)}, expected a flat array of ${width} numbers for ${describeSpace(space)}`;
  }
  if (observation.length !== width) {
    return `observation has length ${observation.length}, expected ${width} for ${describeSpace(space)}`;
  }
  for (let k = 0; k < width; k++) {
    const value = observation[k];
    if (space.kind === "multiDiscrete") {
      const complaint = complainAboutIndex(`observation[${k}]`, value, space.sizes[k] ?? 0);
      if (complaint !== null) return complaint;
    } else if (!isFiniteNumber(value)) {
      return `observation[${k}] is ${show(value)}, expected a number finite in float32`;
    }
    out[at + k] = value as number;
  }
  return null;
}

/** Writes `mask` to `out` from `at` on as 1 and 0, or says why it is no mask of the actions of `space`. */
export function writeActionMask(space: Space, mask: unknown, out: Uint8Array, at: number): string | null {
  const choices = choicesOf(space);
  if (!isArrayLike(mask) || mask.length !== choices) {
    const got = isArrayLike(mask) ? `has length ${mask.length}` : `is ${show(mask)}`;
    return `action mask ${got}, expected ${choices} times 1 or 0 for ${describeSpace(space)}`;
  }
  for (let k = 0; k < choices; k++) {
    const allowed = mask[k];
    if (allowed !== true && allowed !== false && allowed !== 1 && allowed !== 0) {
      return `action mask[${k}] is ${show(allowed)}, expected 1 or 0 or true or false`;
    }
    out[at + k] = allowed === true || allowed === 1 ? 1 : 0;
  }
  return complainAboutForbidden(space, out, at);
}

/** Says which part of the action `masks` leave no choice from `at` on. */
export function complainAboutForbidden(space: Space, masks: Uint8Array, at: number): string | null {
  const parts = space.kind === "multiDiscrete" ? space.sizes : [choicesOf(space)];
  let from = at;
  for (const [part, size] of parts.entries()) {
    const first = masks.indexOf(1, from);
    if (first < 0 || first >= from + size) {
      const which = space.kind === "multiDiscrete" ? ` of part ${part}` : "";
      return `action mask forbids every action${which}, expected at least one to be allowed`;
    }
    from += size;
  }
  return null;
}

const DESCRIBED = { extras: "stepExtras", counters: "counters" } as const;

/**
 * Writes the numbers of a step's result under the names of `out` for instance i, or says which is missing, unknown or not
 * finite. Counters may be NaN: nothing to count.
 */
export function writeNumbers(
  field: keyof typeof DESCRIBED,
  given: unknown,
  out: NamedNumbers,
  i: number,
): string | null {
  const names = Object.keys(out);
  if (given === undefined && names.length === 0) return null;
  const named = names.length === 0 ? "none" : `{ ${names.join(", ")} }`;
  const described = `${named}, as the environment's description says under ${DESCRIBED[field]}`;
  if (typeof given !== "object" || given === null) return `${field} is ${show(given)}, expected ${described}`;
  const numbers = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(numbers).find((name) => !names.includes(name));
  if (unknown !== undefined) return `${field}.${unknown} is ${show(numbers[unknown])}, expected ${described}`;
  for (const name of names) {
    const value = numbers[name];
    const isNothing = field === "counters" && Number.isNaN(value);
    if (!isFiniteNumber(value) && !isNothing) {
      const orNothing = field === "counters" ? ", or NaN for nothing to count" : "";
      return `${field}.${name} is ${show(value)}, expected a number finite in float32${orNothing}`;
    }
    out[name]![i] = value as number;
  }
  return null;
}

/** Says why `key` is no anchor key. */
export function complainAboutAnchor(key: unknown): string | null {
  if (typeof key === "string" && isAnchorText(key)) return null;
  return `anchor key is ${show(key)}, expected a text without U+0000 or halves of surrogate pairs`;
}

/** Says what is wrong with everything in a step's result but its observation. */
export function complainAboutResult(result: unknown): string | null {
  if (typeof result !== "object" || result === null) {
    return `result is ${show(result)}, expected { observation, reward, terminated, truncated }`;
  }
  const { reward, terminated, truncated } = result as Partial<Record<keyof StepResult, unknown>>;
  if (!isFiniteNumber(reward)) return `reward is ${show(reward)}, expected a number finite in float32`;
  if (typeof terminated !== "boolean") return `terminated is ${show(terminated)}, expected true or false`;
  if (typeof truncated !== "boolean") return `truncated is ${show(truncated)}, expected true or false`;
  return null;
}
