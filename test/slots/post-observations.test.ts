import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { assembleBatch, type Batch } from "../../core/slots/batch.js";
import { joinBatches } from "../../core/slots/join.js";
import { selectRows, selectSteps, splitFinalSteps, withFinalSteps } from "../../core/slots/select.js";
import type { Rollout } from "../../core/types.js";
import { randomRollout } from "../recipes/fixture.js";

describe("post-decision observations", () => {
  const random = new Random(12);
  const rolloutOf = (seat: number): Rollout => {
    const rollout = randomRollout(random, { seat, rows: 3, observationWidth: 2 });
    const { observations } = rollout.columns;
    return { ...rollout, columns: { ...rollout.columns, postObservations: observations.map((x) => -x) } };
  };
  const batch = assembleBatch([rolloutOf(0), rolloutOf(1)], 0);
  const negated = ({ inputs }: Batch): Float32Array => inputs.observations.map((x) => -x);

  it("go with their steps into batches, parts of batches and batches joined", () => {
    expect(batch.inputs.postObservations).toEqual(negated(batch));
    const rows = selectRows(batch, Uint32Array.of(4, 0));
    expect(rows.inputs.postObservations).toEqual(negated(rows));
    const steps = selectSteps(batch, Uint32Array.of(5, 1, 1));
    expect(steps.inputs.postObservations).toEqual(negated(steps));
    const joined = joinBatches(batch, rows);
    expect(joined.inputs.postObservations).toEqual(negated(joined));
  });

  it("are nothing at the final observations, after which nothing was done", () => {
    const whole = withFinalSteps(batch);
    const { steps, finals } = splitFinalSteps(batch, Float64Array.from(whole.inputs.postObservations!));
    expect(Float32Array.from(steps)).toEqual(negated(batch));
    expect(finals.every((x) => x === 0)).toBe(true);
  });

  it("are left out where a rollout has none", () => {
    const mixed = assembleBatch([rolloutOf(0), randomRollout(random, { observationWidth: 2 })], 0);
    expect(mixed.inputs.postObservations).toBeUndefined();
  });
});
