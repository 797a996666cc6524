/** What a user's module exports to bring its own environment: a description, checked where it is written. */
import { z } from "zod";
import { SkeinError } from "../errors.js";
import type { Environment, EnvironmentDefinition, EnvironmentSpec } from "./environment.js";
import { expectedNames } from "./named-numbers.js";
import { widthOf, type Space } from "./spaces.js";
import { show } from "./step-result.js";
import { vectorizeEnvironment } from "./vectorize.js";

const paramSchema = z.union([z.string(), z.number(), z.boolean()], {
  error: "expected a string, a number, true or false",
});
const paramsSchema = z.record(z.string(), paramSchema).default({});
/** What the run file gives under `environment.params`. */
export type EnvironmentParams = z.infer<typeof paramsSchema>;

export interface EnvironmentDescription {
  readonly id: string;
  readonly observationSpace: Space;
  readonly actionSpace: Space;
  /** Steps after which an episode is truncated; default null = never. */
  readonly maxEpisodeSteps?: number | null;
  /** Mean return at which the environment counts as solved; default null. */
  readonly rewardThreshold?: number | null;
  /** Its instances say with `actionMask()` which actions may be chosen; default false. */
  readonly actionMasks?: boolean;
  /** Its instances can be left and returned to, with `snapshot()` and `restore()`; default false. */
  readonly snapshots?: boolean;
  /** Its instances say with `anchorKey()` what counts as the same state; default false: the observation does. */
  readonly anchorKeys?: boolean;
  /** Its states come again, and equal observations are the same state; default false: only integer ones are. */
  readonly anchorObservations?: boolean;
  /** They say with `postDecisionState()` what the deterministic part of a step alone leads to; default false. */
  readonly postDecisionStates?: boolean;
  /** Names of the numbers that every result of `step` has under `extras`, as step columns for recipes; default none. */
  readonly stepExtras?: readonly string[];
  /** Names of the numbers that the last result of every episode has under `counters`, as row columns; default none. */
  readonly counters?: readonly string[];
  /** One instance; called once for each. */
  create(params: EnvironmentParams): Environment;
}

/** What a user's module exports to bring its own environment. */
export function defineEnvironment(
  description: EnvironmentDescription,
): EnvironmentDefinition<EnvironmentParams> {
  const { id, observationSpace, actionSpace, maxEpisodeSteps = null, rewardThreshold = null } = description;
  const {
    actionMasks = false,
    snapshots = false,
    anchorKeys = false,
    anchorObservations = false,
    postDecisionStates = false,
    stepExtras = [],
    counters = [],
  } = description;
  checkSpace(id, "observationSpace", observationSpace);
  checkSpace(id, "actionSpace", actionSpace);
  if (maxEpisodeSteps !== null && !(Number.isInteger(maxEpisodeSteps) && maxEpisodeSteps > 0)) {
    throw wrongDescription(id, "maxEpisodeSteps", "a positive integer or null", maxEpisodeSteps);
  }
  if (typeof actionMasks !== "boolean" || (actionMasks && actionSpace.kind === "box")) {
    throw wrongDescription(
      id,
      "actionMasks",
      "true or false, and true for discrete actions only",
      actionMasks,
    );
  }
  const flags = { snapshots, anchorKeys, anchorObservations, postDecisionStates };
  for (const [flag, value] of Object.entries(flags)) {
    if (typeof value !== "boolean") throw wrongDescription(id, flag, "true or false", value);
  }
  const names = { stepExtras, counters };
  for (const field of ["stepExtras", "counters"] as const) {
    const expected = expectedNames(field, names[field]);
    if (expected !== null) throw wrongDescription(id, field, expected, names[field]);
  }
  const limits = { maxEpisodeSteps, rewardThreshold };
  const spec: EnvironmentSpec = {
    id,
    observationSpace,
    actionSpace,
    ...limits,
    actionMasks,
    ...flags,
    ...names,
  };
  return {
    id,
    params: paramsSchema,
    spec: () => spec,
    vectorize: (environmentSpec, params, count) =>
      vectorizeEnvironment(environmentSpec, () => description.create(params), count),
  };
}

function wrongDescription(id: string, field: string, expected: string, got: unknown): SkeinError {
  const text = `defineEnvironment("${id}"): ${field} must be ${expected}, got ${show(got)}`;
  return new SkeinError("ENVIRONMENT_FAILED", text);
}

/** A space written by hand in JavaScript has no compiler to check it. */
function checkSpace(id: string, field: string, space: Space): void {
  const kinds: readonly unknown[] = ["box", "discrete", "multiDiscrete"];
  if (!kinds.includes((space as Space | undefined)?.kind)) {
    throw wrongDescription(id, field, "made with box(), discrete() or multiDiscrete()", space);
  }
  if (space.kind === "box" && [space.low, space.high].some((bound) => bound.length !== widthOf(space))) {
    throw wrongDescription(
      id,
      field,
      `given ${widthOf(space)} low and high bounds, as its shape says`,
      space,
    );
  }
}
