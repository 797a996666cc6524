/** One prompt, four rows of 3, 2, 4 and 1 steps: the fixture for which the numbers of many methods were worked out by hand. */
import { expect } from "vitest";
import type { Batch } from "../../core/slots/batch.js";
import { withColumns } from "../../core/slots/batch.js";
import { deriveColumns, evaluateTerms, type Evaluation } from "../../core/slots/evaluate.js";
import type { Columns, LiveColumn } from "../../core/engine/engine.js";
import { Random } from "../../core/random.js";
import type { Readings, Recipe } from "../../core/slots/recipe.js";

const OLD = [-0.5, -1.2, -0.6, -0.9, -0.4, -1.5, -0.8, -0.7, -1.0, -0.6];
const DELTA = [0.1, -0.05, 0.3, -0.25, 0.15, 0.05, 0.4, -0.3, 0, 0.2];
const OFFSETS = [0, 3, 5, 9, 10];

/** Live log-probabilities of the fixture. */
export const LIVE = Float32Array.from(OLD, (old, t) => old + DELTA[t]!);

/** The fixture with these scores; `groups` = all one. */
export function fixtureBatch(
  scores: readonly number[] = [1, 0, 0, 1],
  offsets: readonly number[] = OFFSETS,
  groups: readonly number[] = scores.map(() => 1),
): Batch {
  const steps = offsets.at(-1)!;
  const rows = scores.length;
  const log = Float64Array.from({ length: steps }, (_, t) => OLD[t] ?? 0);
  return {
    offsets: Uint32Array.from(offsets),
    mask: new Uint8Array(steps).fill(1),
    terminated: new Uint8Array(rows).fill(1),
    inputs: {
      steps,
      observations: new Float32Array(steps),
      actions: new Int32Array(steps),
      actionMasks: null,
    },
    initialStates: new Float32Array(0),
    finalObservations: new Float32Array(rows),
    step: {
      rewards: new Float64Array(steps),
      behaviorLogprobs: log,
      oldLogprobs: log,
      versions: new Float64Array(steps),
      policyLags: new Float64Array(steps),
    },
    row: {
      member: Float64Array.from(scores, (_, i) => i),
      task: Float64Array.from(groups),
      score: Float64Array.from(scores),
      group: Float64Array.from(groups),
      trajectory: Float64Array.from(scores, (_, i) => i),
      truncated: new Float64Array(rows),
    },
  };
}

/** A recipe's columns and losses on the fixture; `step` are columns it would derive otherwise. */
export function evaluated(
  recipe: Recipe,
  batch = fixtureBatch(),
  step: Batch["step"] = {},
  { readings = {}, live = {} }: { readings?: Readings; live?: Columns<LiveColumn> } = {},
): Evaluation & { batch: Batch } {
  const random = new Random(1);
  const sealed = withColumns(deriveColumns(recipe, "seal", batch, { readings, random, live: {} }), { step });
  const { steps } = sealed.inputs;
  const zeros = new Float32Array(steps);
  const columns = { logprob: LIVE.slice(0, steps), value: zeros, entropy: zeros, ...live };
  const wide = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, Float64Array.from(column)]),
  );
  return {
    batch: deriveColumns(recipe, "step", sealed, { readings, random: new Random(1), live: wide }),
    ...evaluateTerms(recipe, sealed, columns, { readings, random: new Random(1) }),
  };
}

/** [R]: the advantage that every step of each row has. */
export function rowAdvantages({ step, offsets }: Batch): number[] {
  return Array.from(offsets.subarray(0, -1), (at) => step["advantages"]![at]!);
}

/** Half a unit in the sixth digit, and what float32 log-probabilities add to it. */
const CLOSE = 1.5e-6;

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = CLOSE): void {
  expect(actual).toHaveLength(expected.length);
  Array.from(expected).forEach((x, i) => {
    const apart = Math.abs(actual[i]! - x);
    expect(apart, `at ${i}: ${actual[i]}, not ${x}`).toBeLessThan(tolerance);
  });
}

/** [N]: the number that each row of the fixture has, at its steps. */
export function perRow(rows: readonly number[]): number[] {
  return rows.flatMap((x, i) => new Array<number>(OFFSETS[i + 1]! - OFFSETS[i]!).fill(x));
}
