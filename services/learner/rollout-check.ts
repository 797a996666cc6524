/**
 * What a rollout must be before the learner touches it: of this run's environment and network, of numbers that can be
 * trained on. That its columns agree with one another the codec has checked.
 *
 * Tight loops over whole columns: a learner looks at millions of steps a second here.
 */
import { isUtf8 } from "node:buffer";
import { countAnchorTexts } from "../../core/anchor-texts.js";
import { type EnvironmentSpec } from "../../core/env/environment.js";
import { choicesOf, widthOf, type Space } from "../../core/env/spaces.js";
import { rolloutIdOf, rowCount, stepCount, StopReason } from "../../core/types.js";
import type { Rollout, RolloutColumns } from "../../core/types.js";

/** run = of another run · key = its ids contradict one another · range = an action that there is not … */
export const REFUSAL_REASONS = ["run", "key", "shape", "version", "notFinite", "range"] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Complaint {
  readonly reason: RefusalReason;
  /** `expected …, got …` */
  readonly text: string;
}

export interface RolloutRules {
  readonly runId: string;
  readonly spec: EnvironmentSpec;
  /** Numbers of memory that the network carries from step to step. */
  readonly stateWidth: number;
  /** Members of a group; null = fragments, seat by seat. */
  readonly groupSize: number | null;
}

type Widths = Pick<RolloutColumns, "observationWidth" | "actionWidth" | "actionMaskWidth" | "stateWidth">;

/** true = no NaN and no infinity among `values`: x·0 is 0 for every other x. */
export function allFinite(values: Float32Array): boolean {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const whole = values.length & ~3;
  for (let k = 0; k < whole; k += 4) {
    a += values[k]! * 0;
    b += values[k + 1]! * 0;
    c += values[k + 2]! * 0;
    d += values[k + 3]! * 0;
  }
  for (let k = whole; k < values.length; k++) a += values[k]! * 0;
  return a + b + c + d === 0;
}

/** Counters may be NaN: nothing to count in this row. */
function noInfinity(values: Float32Array): boolean {
  for (const value of values) if (value === Infinity || value === -Infinity) return false;
  return true;
}

/** Sizes of a space of integers, part by part; empty for a box. */
function sizesOf(space: Space): readonly number[] {
  if (space.kind === "box") return [];
  return space.kind === "discrete" ? [space.n] : space.sizes;
}

/** The first number of `values`, [N·K] with K = `sizes.length`, that is no integer from 0 below its size. */
function outside(values: Int32Array | Float32Array, sizes: readonly number[]): number | null {
  const width = sizes.length;
  for (let part = 0; part < width; part++) {
    const size = sizes[part]!;
    for (let k = part; k < values.length; k += width) {
      const value = values[k]!;
      if (!(value >= 0 && value < size && Math.floor(value) === value)) return value;
    }
  }
  return null;
}

export class RolloutCheck {
  private readonly widths: Widths;
  private readonly actionSizes: readonly number[];
  private readonly observationSizes: readonly number[];

  constructor(private readonly rules: RolloutRules) {
    const { observationSpace, actionSpace, actionMasks } = rules.spec;
    this.widths = {
      observationWidth: widthOf(observationSpace),
      actionWidth: widthOf(actionSpace),
      actionMaskWidth: actionMasks === true ? choicesOf(actionSpace) : 0,
      stateWidth: rules.stateWidth,
    };
    this.actionSizes = sizesOf(actionSpace);
    this.observationSizes = sizesOf(observationSpace);
  }

  /** Whether it is what its ids say: to be asked before anything is done by those ids. */
  identity(rollout: Rollout): Complaint | null {
    const { runId, groupSize } = this.rules;
    if (rollout.runId !== runId) {
      return { reason: "run", text: `expected rollouts of run ${runId}, got one of run ${rollout.runId}` };
    }
    const { rolloutId, task, group, member, attempt, seat, requestId } = rollout;
    const members = groupSize ?? 1;
    const whole = [group, member, attempt, requestId].every((n) => Number.isSafeInteger(n));
    const expectedTask = groupSize === null ? `seat-${seat}` : task;
    if (whole && attempt >= 1 && group >= 0 && member >= 0 && member < members && task === expectedTask) {
      const expected = rolloutIdOf(runId, rollout);
      if (rolloutId === expected) return null;
      return { reason: "key", text: `expected the id ${expected}, got ${rolloutId}` };
    }
    return {
      reason: "key",
      text:
        `expected task ${expectedTask}, a member below ${members} and an attempt of at least 1, ` +
        `got task ${task}, group ${group}, member ${member}, attempt ${attempt}`,
    };
  }

  /** Whether it can be trained on by a learner of `version`. */
  content(rollout: Rollout, version: number): Complaint | null {
    const { columns } = rollout;
    return (
      this.shape(columns) ??
      versions(columns, version) ??
      flags(columns) ??
      notFinite(columns) ??
      anchors(columns) ??
      this.choices(columns)
    );
  }

  private shape(columns: RolloutColumns): Complaint | null {
    const names = Object.keys(this.widths) as (keyof Widths)[];
    const list = (of: Widths): string => names.map((name) => `${name} ${of[name]}`).join(", ");
    const complain = (expected: string, got: string): Complaint => ({
      reason: "shape",
      text: `expected ${expected}, got ${got}`,
    });
    if (!names.every((name) => columns[name] === this.widths[name])) {
      return complain(list(this.widths), list(columns));
    }
    if (stepCount(columns) === 0) return complain("at least one step", "none");
    const { anchorKeys, postDecisionStates } = this.rules.spec;
    const steps = stepCount(columns);
    const offered = {
      anchorIndices: anchorKeys === true ? steps : 0,
      postObservations: postDecisionStates === true ? steps * columns.observationWidth : 0,
    };
    for (const name of ["anchorIndices", "postObservations"] as const) {
      const got = columns[name].length;
      if (got !== offered[name]) return complain(`${name} [${offered[name]}]`, `[${got}]`);
    }
    for (const name of this.rules.spec.stepExtras ?? []) {
      if (!Object.hasOwn(columns.stepExtras, name)) return complain(`the step extra ${name}`, "none");
    }
    for (const name of this.rules.spec.counters ?? []) {
      if (!Object.hasOwn(columns.rowCounters, name)) return complain(`the row counter ${name}`, "none");
    }
    const integers = this.actionSizes.length > 0;
    if (columns.actions instanceof Int32Array !== integers) {
      return complain(
        integers ? "whole-number actions" : "float32 actions",
        columns.actions.constructor.name,
      );
    }
    for (let row = 0; row < rowCount(columns); row++) {
      if (columns.offsets[row + 1]! <= columns.offsets[row]!) {
        return complain("rows of at least one step", `none in row ${row}`);
      }
    }
    return null;
  }

  private choices({
    actions,
    observations,
    finalObservations,
    postObservations,
    actionMasks,
  }: RolloutColumns): Complaint | null {
    const { actionSizes, observationSizes, widths } = this;
    const complain = (what: string, got: number): Complaint => ({
      reason: "range",
      text: `expected ${what}, got ${got}`,
    });
    const action = outside(actions, actionSizes);
    if (action !== null) return complain(`actions below ${actionSizes.join(", ")}`, action);
    const seen =
      outside(observations, observationSizes) ??
      outside(finalObservations, observationSizes) ??
      outside(postObservations, observationSizes);
    if (seen !== null) return complain(`observations below ${observationSizes.join(", ")}`, seen);
    if (widths.actionMaskWidth === 0) return null;
    const width = actionSizes.length;
    let from = 0;
    for (let part = 0; part < width; part++) {
      for (let step = 0; step * width < actions.length; step++) {
        const chosen = actions[step * width + part]!;
        if (actionMasks[step * widths.actionMaskWidth + from + chosen] !== 1) {
          return complain(`actions that their mask allows`, chosen);
        }
      }
      from += actionSizes[part]!;
    }
    return null;
  }
}

/** Of the versions of its steps. */
export function oldestVersion({ columns }: Rollout): number {
  let oldest = Number.POSITIVE_INFINITY;
  for (const version of columns.versionRunValues) if (version < oldest) oldest = version;
  return oldest;
}

function versions({ versionRunValues }: RolloutColumns, version: number): Complaint | null {
  for (const used of versionRunValues) {
    if (used > version) {
      const text = `expected policy versions up to ${version}, which this learner has, got ${used}`;
      return { reason: "version", text };
    }
  }
  return null;
}

function flags({ mask, terminated, truncated, stopReasons }: RolloutColumns): Complaint | null {
  for (let step = 0; step < mask.length; step++) {
    if (mask[step]! > 1) return { reason: "shape", text: `expected a mask of 0 and 1, got ${mask[step]}` };
  }
  for (let row = 0; row < stopReasons.length; row++) {
    const reason = stopReasons[row]!;
    const [ended, cut] = [terminated[row]!, truncated[row]!];
    const cuts = reason === StopReason.truncated || reason === StopReason.deadline;
    const agree = ended === (reason === StopReason.terminated ? 1 : 0) && (cut === 0 || (cut === 1 && cuts));
    if (!agree || reason > StopReason.deadline) {
      const text = `expected flags that agree with the stop reason, got terminated ${ended}, truncated ${cut} with ${reason}`;
      return { reason: "shape", text };
    }
  }
  return null;
}

function anchors({ anchorIndices, anchorTexts }: RolloutColumns): Complaint | null {
  if (anchorIndices.length === 0) return null;
  if (!isUtf8(anchorTexts))
    return { reason: "shape", text: "expected anchor texts in UTF-8, got other bytes" };
  const count = countAnchorTexts(anchorTexts);
  const beyond = anchorIndices.find((index) => index >= count);
  if (beyond === undefined) return null;
  return { reason: "range", text: `expected anchor indices below ${count}, got ${beyond}` };
}

function notFinite(columns: RolloutColumns): Complaint | null {
  const { observations, finalObservations, postObservations, initialStates } = columns;
  const { rewards, behaviorLogprobs, actions } = columns;
  const named: Readonly<Record<string, Float32Array>> = {
    ...columns.stepExtras,
    ...{ observations, finalObservations, postObservations, initialStates, rewards, behaviorLogprobs },
    ...(actions instanceof Float32Array ? { actions } : {}),
  };
  const wrong =
    Object.keys(named).find((name) => !allFinite(named[name]!)) ??
    Object.keys(columns.rowCounters).find((name) => !noInfinity(columns.rowCounters[name]!));
  return wrong === undefined
    ? null
    : { reason: "notFinite", text: `expected finite ${wrong}, got NaN or infinity` };
}
