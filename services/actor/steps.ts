/** What the records of fragments and of episodes have in common. */
import type { EnvironmentSpec, VectorEnvironment } from "../../core/env/environment.js";
import { choicesOf } from "../../core/env/spaces.js";
import { complainAboutForbidden } from "../../core/env/step-result.js";
import { SkeinError } from "../../core/errors.js";
import type { RolloutColumns } from "../../core/types.js";

/**
 * Throws ENVIRONMENT_FAILED where an observation, a reward or a step extra is not finite, a counter infinite, or every
 * action was forbidden. `instanceOf` says which instance a step is of.
 */
export function expectSoundSteps(
  { id, actionSpace }: EnvironmentSpec,
  columns: RolloutColumns,
  instanceOf: (step: number) => number,
): void {
  const { observationWidth, observations, postObservations, rewards, actionMasks, offsets } = columns;
  const complain = (what: string, step: number): never => {
    throw new SkeinError(
      "ENVIRONMENT_FAILED",
      `environment ${id}: expected a finite ${what}, got NaN or infinity in instance ${instanceOf(step)}; ` +
        "mend the environment's step",
    );
  };
  for (const seen of [observations, postObservations]) {
    for (let k = 0; k < seen.length; k++) {
      if (!Number.isFinite(seen[k]!)) complain("observation", Math.floor(k / observationWidth));
    }
  }
  for (const [name, values] of Object.entries({ reward: rewards, ...columns.stepExtras })) {
    for (let k = 0; k < values.length; k++) if (!Number.isFinite(values[k]!)) complain(name, k);
  }
  for (const [name, values] of Object.entries(columns.rowCounters)) {
    values.forEach((value, row) => {
      if (Math.abs(value) === Infinity) complain(name, offsets[row]!);
    });
  }
  const choices = choicesOf(actionSpace);
  for (let at = 0; at < actionMasks.length; at += choices) {
    const complaint = complainAboutForbidden(actionSpace, actionMasks, at);
    if (complaint === null) continue;
    const where = `environment ${id}, instance ${instanceOf(at / choices)}`;
    throw new SkeinError("ENVIRONMENT_FAILED", `${where}: ${complaint}`);
  }
}

/** The environment's counters of instance i, whose episode has just ended. */
export function countersOf({ counters }: VectorEnvironment, i: number): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counters).map(([name, values]) => [name, values[i]!]));
}

/** [R] each: the counters `names` of the rows, NaN where one has none. */
export function counterColumns(
  names: readonly string[],
  rows: readonly Readonly<Record<string, number>>[],
): Record<string, Float32Array> {
  return Object.fromEntries(
    names.map((name) => [name, Float32Array.from(rows, (counters) => counters[name] ?? Number.NaN)]),
  );
}

/** The versions of steps in their order, run-length coded. */
export function versionRuns(
  versions: Iterable<number>,
): Pick<RolloutColumns, "versionRunLengths" | "versionRunValues"> {
  const lengths: number[] = [];
  const values: number[] = [];
  for (const version of versions) {
    if (values[values.length - 1] === version) {
      lengths[lengths.length - 1]!++;
    } else {
      lengths.push(1);
      values.push(version);
    }
  }
  return { versionRunLengths: Uint32Array.from(lengths), versionRunValues: Uint32Array.from(values) };
}
