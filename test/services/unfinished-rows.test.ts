import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { assembleBatch, withColumns, type Batch } from "../../core/slots/batch.js";
import { UnfinishedRows } from "../../services/learner/unfinished-rows.js";
import { randomRollout } from "../recipes/fixture.js";

/** A batch of one row a trajectory; `+` after a number = it ends there. Observations tell where a row came from. */
function batchOf(seed: number, ...trajectories: readonly string[]): Batch {
  const rows = trajectories.length;
  const random = new Random(seed);
  const batch = assembleBatch([randomRollout(random, { rows, masked: 0, stateWidth: 2 })], 0);
  return withColumns(
    { ...batch, terminated: Uint8Array.from(trajectories, (t) => (t.endsWith("+") ? 1 : 0)) },
    {
      row: {
        trajectory: Float64Array.from(trajectories, (t) => parseInt(t, 10)),
        truncated: new Float64Array(rows),
      },
    },
  );
}

/** Trajectory of each row, and whether its steps are new. */
const shown = ({ row, step, offsets }: Batch): string[] =>
  Array.from(row["trajectory"]!, (t, i) => `${t}${step["fresh"]![offsets[i]!] === 1 ? " new" : ""}`);

describe("rows of trajectories that go on", () => {
  it("come back with all that belongs to them in the batch in which the trajectory ends, once", () => {
    const rows = new UnfinishedRows({ maxBatches: 5 });
    const first = batchOf(1, "1", "2+", "3");
    expect(shown(rows.join(first))).toEqual(["1 new", "2 new", "3 new"]);
    expect(shown(rows.join(batchOf(2, "1", "4")))).toEqual(["1 new", "4 new"]);
    const third = batchOf(3, "1+", "3", "5");
    const joined = rows.join(third);
    expect(shown(joined)).toEqual(["1", "1", "1 new", "3 new", "5 new"]);
    const width = 3;
    const length = first.offsets[1]!;
    expect(joined.inputs.observations.subarray(0, length * width)).toEqual(
      first.inputs.observations.subarray(0, length * width),
    );
    expect(joined.step["rewards"]!.subarray(0, length)).toEqual(first.step["rewards"]!.subarray(0, length));
    expect(joined.initialStates.subarray(0, 2)).toEqual(first.initialStates.subarray(0, 2));
    expect(joined.finalObservations.subarray(2 * width)).toEqual(third.finalObservations);
    expect(joined.inputs.actions!.length).toBe(joined.inputs.steps);
    expect(shown(rows.join(batchOf(4, "1+", "3+")))).toEqual(["3", "3", "1 new", "3 new"]);
  });

  it("come back where a time limit cuts the trajectory", () => {
    const rows = new UnfinishedRows({ maxBatches: 5 });
    rows.join(batchOf(1, "1"));
    const cut = batchOf(2, "1");
    const joined = rows.join(withColumns(cut, { row: { truncated: Float64Array.of(1) } }));
    expect(shown(joined)).toEqual(["1", "1 new"]);
  });

  it("are forgotten after as many batches as the recipe says", () => {
    const rows = new UnfinishedRows({ maxBatches: 2 });
    rows.join(batchOf(1, "1"));
    rows.join(batchOf(2, "1"));
    rows.join(batchOf(3, "2"));
    expect(shown(rows.join(batchOf(4, "1+")))).toEqual(["1", "1 new"]);
  });
});
