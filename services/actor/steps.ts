/** What the records of fragments and of episodes have in common. */
import type { EnvironmentSpec } from "../../core/env/environment.js";
import { choicesOf } from "../../core/env/spaces.js";
import { complainAboutForbidden } from "../../core/env/step-result.js";
import { SkeinError } from "../../core/errors.js";
import type { RolloutColumns } from "../../core/types.js";

/**
 * Throws ENVIRONMENT_FAILED where an observation or a reward is not finite or every action was forbidden. `instanceOf`
 * says which instance a step is of.
 */
export function expectSoundSteps(
  { id, actionSpace }: EnvironmentSpec,
  { observationWidth, observations, postObservations, rewards, actionMasks }: RolloutColumns,
  instanceOf: (step: number) => number,
): void {
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
  for (let k = 0; k < rewards.length; k++) if (!Number.isFinite(rewards[k]!)) complain("reward", k);
  const choices = choicesOf(actionSpace);
  for (let at = 0; at < actionMasks.length; at += choices) {
    const complaint = complainAboutForbidden(actionSpace, actionMasks, at);
    if (complaint === null) continue;
    const where = `environment ${id}, instance ${instanceOf(at / choices)}`;
    throw new SkeinError("ENVIRONMENT_FAILED", `${where}: ${complaint}`);
  }
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
