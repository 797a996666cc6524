import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { assembleBatch, stepColumn, withColumns } from "../../core/slots/batch.js";
import { selectSteps } from "../../core/slots/select.js";
import type { Rollout } from "../../core/types.js";
import { randomBatch, randomRollout } from "../recipes/fixture.js";

describe("an assembled batch", () => {
  it.each([
    ["discrete actions, masks", 0, 4, 0],
    ["box actions, memory", 2, 0, 3],
  ])("holds every row of every rollout, in order, as a loop over them finds it (%s)", (...shape) => {
    const [, boxActions, actionMaskWidth, stateWidth] = shape;
    const random = new Random(1);
    for (let draw = 0; draw < 20; draw++) {
      const rollouts = Array.from({ length: 1 + random.integer(4) }, (_, seat) =>
        randomRollout(random, { seat, rows: 1 + random.integer(5), boxActions, actionMaskWidth, stateWidth }),
      );
      const batch = assembleBatch(rollouts);
      let [row, step] = [0, 0];
      for (const { seat, columns: c } of rollouts) {
        for (let i = 0; i + 1 < c.offsets.length; i++, row++) {
          expect(batch.offsets[row]).toBe(step);
          expect(batch.terminated[row]).toBe(c.terminated[i]);
          expect(batch.row["truncated"]![row]).toBe(c.truncated[i]);
          expect(batch.row["trajectory"]![row]).toBe(seat * 2 ** 32 + c.trajectoryIds[i]!);
          const o = c.observationWidth;
          expect(batch.finalObservations.subarray(row * o, (row + 1) * o)).toEqual(
            c.finalObservations.subarray(i * o, (i + 1) * o),
          );
          expect(batch.initialStates.subarray(row * stateWidth, (row + 1) * stateWidth)).toEqual(
            c.initialStates.subarray(i * stateWidth, (i + 1) * stateWidth),
          );
          for (let t = c.offsets[i]!; t < c.offsets[i + 1]!; t++, step++) {
            const p = actionMaskWidth;
            expect(batch.inputs.actionMasks?.subarray(step * p, (step + 1) * p)).toEqual(
              p === 0 ? undefined : c.actionMasks.subarray(t * p, (t + 1) * p),
            );
            expect(batch.mask[step]).toBe(c.mask[t]);
            expect(batch.step["rewards"]![step]).toBe(c.rewards[t]);
            expect(batch.step["behaviorLogprobs"]![step]).toBe(c.behaviorLogprobs[t]);
            expect(batch.inputs.observations.subarray(step * o, (step + 1) * o)).toEqual(
              c.observations.subarray(t * o, (t + 1) * o),
            );
            const a = c.actionWidth;
            expect(batch.inputs.actions!.subarray(step * a, (step + 1) * a)).toEqual(
              c.actions.subarray(t * a, (t + 1) * a),
            );
          }
        }
      }
      expect(batch.offsets.at(-1)).toBe(step);
      expect([batch.inputs.steps, batch.offsets.length - 1]).toEqual([step, row]);
    }
  });

  it("keeps trajectories of different seats apart, and those of one seat together", () => {
    const random = new Random(2);
    const seats = [0, 3, 3];
    const rollouts = seats.map((seat) => randomRollout(random, { seat, rows: 2 }));
    const { trajectory } = assembleBatch(rollouts).row;
    expect(new Set(trajectory).size).toBe(4);
    expect(trajectory!.slice(2, 4)).toEqual(trajectory!.slice(4, 6));
  });

  it("says how many versions older each step's policy is than the weights at hand", () => {
    const rollout = randomRollout(new Random(4), { rows: 2 });
    const steps = rollout.columns.rewards.length;
    const columns = {
      ...rollout.columns,
      versionRunLengths: Uint32Array.of(1, steps - 1),
      versionRunValues: Uint32Array.of(6, 9),
    };
    const { versions, policyLags } = assembleBatch([{ ...rollout, columns }], 9).step;
    expect([...versions!]).toEqual([6, ...new Array<number>(steps - 1).fill(9)]);
    expect([...policyLags!]).toEqual([3, ...new Array<number>(steps - 1).fill(0)]);
  });

  it("does not depend on whether rows came in one rollout or in several", () => {
    const random = new Random(3);
    const whole = randomRollout(random, { rows: 6 });
    const part = (from: number, to: number): Rollout => {
      const c = whole.columns;
      const [a, b] = [c.offsets[from]!, c.offsets[to]!];
      const steps = <T extends { slice(a: number, b: number): T }>(array: T, width = 1): T =>
        array.slice(a * width, b * width);
      return {
        ...whole,
        columns: {
          ...c,
          offsets: c.offsets.slice(from, to + 1).map((offset) => offset - a),
          observations: steps(c.observations, c.observationWidth),
          actions: (c.actions as Int32Array).slice(a, b),
          behaviorLogprobs: steps(c.behaviorLogprobs),
          rewards: steps(c.rewards),
          mask: steps(c.mask),
          finalObservations: c.finalObservations.slice(from * c.observationWidth, to * c.observationWidth),
          terminated: c.terminated.slice(from, to),
          truncated: c.truncated.slice(from, to),
          trajectoryIds: c.trajectoryIds.slice(from, to),
        },
      };
    };
    expect(assembleBatch([part(0, 1), part(1, 4), part(4, 6)])).toEqual(assembleBatch([whole]));
  });

  it("is refused for nothing, and for rollouts of different environments", () => {
    const random = new Random(4);
    expect(() => assembleBatch([])).toThrow(/expected at least one rollout, got none/);
    const first = randomRollout(random);
    const others = [{ observationWidth: 4 }, { boxActions: 2 }, { actionMaskWidth: 9 }, { stateWidth: 2 }];
    for (const shape of others) {
      const act = (): unknown => assembleBatch([first, randomRollout(random, shape)]);
      expect(act).toThrow(expect.objectContaining({ code: "SHAPE" }) as Error);
    }
    expect(() => assembleBatch([first, randomRollout(random, { observationWidth: 4 })])).toThrow(
      "expected observationWidth 3, got 4",
    );
  });
});

describe("selected steps", () => {
  it.each([
    ["discrete actions", 0],
    ["box actions", 2],
  ])("are those named, in that order, one row each (%s)", (_name, boxActions) => {
    const random = new Random(5);
    for (let draw = 0; draw < 20; draw++) {
      const actionMaskWidth = boxActions === 0 ? 4 : 0;
      const batch = randomBatch(random, { boxActions, actionMaskWidth });
      const n = batch.inputs.steps;
      const indices = Uint32Array.from({ length: 1 + random.integer(2 * n) }, () => random.integer(n));
      const picked = selectSteps(batch, indices);
      expect(picked.inputs.steps).toBe(indices.length);
      expect(Array.from(picked.offsets)).toEqual(Array.from({ length: indices.length + 1 }, (_, k) => k));
      expect(Object.keys(picked.step).sort()).toEqual(Object.keys(batch.step).sort());
      const widths = { observations: 3, actions: Math.max(1, boxActions), actionMasks: actionMaskWidth };
      indices.forEach((from, k) => {
        expect(picked.mask[k]).toBe(batch.mask[from]);
        for (const [name, column] of Object.entries(batch.step))
          expect(picked.step[name]![k]).toBe(column[from]);
        for (const name of ["observations", "actions", "actionMasks"] as const) {
          for (let j = 0; j < widths[name]; j++) {
            expect(picked.inputs[name]![k * widths[name] + j]).toBe(
              batch.inputs[name]![from * widths[name] + j],
            );
          }
        }
      });
      expect(picked.inputs.actions!.constructor).toBe(batch.inputs.actions!.constructor);
    }
  });

  it("share no memory with the batch they came from", () => {
    const batch = randomBatch(new Random(6));
    const before = structuredClone(batch);
    const all = selectSteps(
      batch,
      Uint32Array.from({ length: batch.inputs.steps }, (_, k) => k),
    );
    for (const array of [all.mask, all.inputs.observations, ...Object.values(all.step)]) array.fill(9);
    expect(batch).toEqual(before);
  });

  it("have no actions and no masks where the batch has none", () => {
    const batch = randomBatch(new Random(7));
    const observed = { ...batch, inputs: { ...batch.inputs, actions: null } };
    const { actions, actionMasks } = selectSteps(observed, Uint32Array.of(1, 0)).inputs;
    expect([actions, actionMasks]).toEqual([null, null]);
  });
});

describe("columns", () => {
  it("are added beside or instead of those there, and the batch they are added to stays", () => {
    const batch = randomBatch(new Random(8));
    const rewards = new Float64Array(batch.inputs.steps);
    const added = withColumns(batch, { step: { rewards, extra: rewards } });
    expect(added.step["rewards"]).toBe(rewards);
    expect(added.step["values"]).toBe(batch.step["values"]);
    expect(added.row).toEqual(batch.row);
    expect(batch.step["extra"]).toBeUndefined();
    expect(batch.step["rewards"]).not.toBe(rewards);
  });

  it("that are missing are asked for by name", () => {
    const batch = randomBatch(new Random(9));
    expect(() => stepColumn(batch, "advantages")).toThrow(
      'recipe: needs the step column "advantages"; present: rewards, behaviorLogprobs, oldLogprobs, versions, policyLags, values',
    );
  });
});
