import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { arrangementOf, singleSteps, wholeRows } from "../../core/slots/arrangement.js";
import type { Batch } from "../../core/slots/batch.js";
import { selectRows, splitFinalSteps, withFinalSteps } from "../../core/slots/select.js";
import { randomBatch } from "../recipes/fixture.js";

const [O, P, S] = [3, 4, 2];

/** Batches with memory: with and without masks, with discrete and with box actions. */
function recurrentBatch(random: Random): Batch {
  const boxActions = random.integer(3);
  const actionMaskWidth = random.integer(2) * P;
  return randomBatch(random, { boxActions, actionMaskWidth, stateWidth: S, rows: 1 + random.integer(6) });
}

const order = (random: Random, count: number): Uint32Array => {
  const numbers = Uint32Array.from({ length: count }, (_, i) => i);
  random.shuffle(numbers);
  return numbers;
};
const part = (array: ArrayLike<number>, at: number, width: number): number[] =>
  Array.from({ length: width }, (_, k) => array[at * width + k]!);
const lengthOf = ({ offsets }: Batch, row: number): number => offsets[row + 1]! - offsets[row]!;

describe("a batch", () => {
  it("is arranged by rows where it has memory, and by single steps else", () => {
    const random = new Random(1);
    expect(arrangementOf(randomBatch(random))).toBe(singleSteps);
    expect(arrangementOf(randomBatch(random, { stateWidth: 1 }))).toBe(wholeRows);
  });
});

describe.each([
  ["single steps", singleSteps],
  ["whole rows", wholeRows],
])("a split into %s", (_name, arrangement) => {
  const size = (batch: Batch, things: Uint32Array): number => arrangement.select(batch, things).inputs.steps;

  it("holds each once and in order, in no more parts than asked for, none of them empty", () => {
    const random = new Random(2);
    for (let draw = 0; draw < 200; draw++) {
      const batch = recurrentBatch(random);
      const shuffled = order(random, arrangement.count(batch));
      const parts = 1 + random.integer(12);
      const runs = arrangement.split(batch, shuffled, parts);
      expect(runs.flatMap((run) => [...run])).toEqual([...shuffled]);
      expect(runs.length).toBeLessThanOrEqual(parts);
      expect(Math.min(...runs.map((run) => size(batch, run)))).toBeGreaterThan(0);
    }
  });

  it("cuts no further from equal shares than one thing is long", () => {
    const random = new Random(3);
    for (let draw = 0; draw < 200; draw++) {
      const batch = recurrentBatch(random);
      const shuffled = order(random, arrangement.count(batch));
      const parts = 1 + random.integer(4);
      const share = batch.inputs.steps / parts;
      const rows = Array.from({ length: batch.offsets.length - 1 }, (_, row) => lengthOf(batch, row));
      const longest = arrangement === wholeRows ? Math.max(...rows) : 1;
      for (const run of arrangement.split(batch, shuffled, parts)) {
        expect(size(batch, run)).toBeLessThanOrEqual(share + longest);
      }
      // Things no longer than a share leave no part out.
      if (arrangement === wholeRows && longest <= share) {
        expect(arrangement.split(batch, shuffled, parts)).toHaveLength(parts);
      }
    }
  });
});

describe("a split into rows", () => {
  const batchWith = (lengths: readonly number[]): Batch => {
    const offsets = new Uint32Array(lengths.length + 1);
    lengths.forEach((length, i) => (offsets[i + 1] = offsets[i]! + length));
    const steps = offsets[lengths.length]!;
    const inputs = { steps, observations: new Float32Array(steps), actions: null, actionMasks: null };
    return {
      ...{ offsets, inputs, mask: new Uint8Array(steps), terminated: new Uint8Array(lengths.length) },
      ...{ initialStates: new Float32Array(lengths.length), finalObservations: new Float32Array(0) },
      ...{ step: {}, row: {} },
    };
  };
  it.each([
    // [lengths, parts, rows of each part]
    [[4, 4, 4, 4], 2, [2, 2]],
    [[4, 4, 4, 4], 4, [1, 1, 1, 1]],
    [[1, 1, 1, 9], 2, [3, 1]],
    [[9, 1, 1, 1], 2, [1, 3]],
    [[10], 4, [1]],
    // Rows without steps go with their neighbours.
    [[0, 5, 0, 5, 0], 2, [3, 2]],
  ])("of %j steps into %i makes parts of %j rows", (lengths, parts, expected) => {
    const batch = batchWith(lengths);
    const rows = Uint32Array.from(lengths, (_, i) => i);
    const runs = wholeRows.split(batch, rows, parts);
    const full = runs.map((run) => run.length);
    expect(full).toEqual(expected);
  });
});

describe("selected rows", () => {
  it("are those named, in that order, with all that belongs to them", () => {
    const random = new Random(4);
    for (let draw = 0; draw < 30; draw++) {
      const batch = recurrentBatch(random);
      const count = batch.offsets.length - 1;
      const rows = Uint32Array.from({ length: 1 + random.integer(2 * count) }, () => random.integer(count));
      const picked = selectRows(batch, rows);
      const a = batch.inputs.actions!.length / batch.inputs.steps;
      let at = 0;
      rows.forEach((row, k) => {
        expect(picked.offsets[k]).toBe(at);
        expect(picked.terminated[k]).toBe(batch.terminated[row]);
        expect(part(picked.initialStates, k, S)).toEqual(part(batch.initialStates, row, S));
        expect(part(picked.finalObservations, k, O)).toEqual(part(batch.finalObservations, row, O));
        for (const [name, column] of Object.entries(batch.row))
          expect(picked.row[name]![k]).toBe(column[row]);
        for (let from = batch.offsets[row]!; from < batch.offsets[row + 1]!; from++, at++) {
          expect(picked.mask[at]).toBe(batch.mask[from]);
          for (const [name, column] of Object.entries(batch.step))
            expect(picked.step[name]![at]).toBe(column[from]);
          expect(part(picked.inputs.observations, at, O)).toEqual(part(batch.inputs.observations, from, O));
          expect(part(picked.inputs.actions!, at, a)).toEqual(part(batch.inputs.actions!, from, a));
          if (batch.inputs.actionMasks === null) expect(picked.inputs.actionMasks).toBeNull();
          else
            expect(part(picked.inputs.actionMasks!, at, P)).toEqual(part(batch.inputs.actionMasks, from, P));
        }
      });
      expect([picked.offsets.at(-1), picked.inputs.steps]).toEqual([at, at]);
    }
  });
});

describe("rows laid out as sequences", () => {
  it("stand one below the other from their first step on, padded with what any action is allowed in", () => {
    const random = new Random(5);
    for (let draw = 0; draw < 30; draw++) {
      const batch = recurrentBatch(random);
      const { inputs } = wholeRows.layOut(batch);
      const rows = batch.offsets.length - 1;
      const longest = Math.max(...Array.from({ length: rows }, (_, row) => lengthOf(batch, row)));
      expect([inputs.steps, inputs.sequenceLength]).toEqual([rows * longest, longest]);
      expect(inputs.states).toEqual(batch.initialStates);
      const a = batch.inputs.actions!.length / batch.inputs.steps;
      expect(inputs.actions!.constructor).toBe(batch.inputs.actions!.constructor);
      for (let row = 0; row < rows; row++) {
        for (let t = 0; t < longest; t++) {
          const at = row * longest + t;
          const from = t < lengthOf(batch, row) ? batch.offsets[row]! + t : null;
          const expected = (array: ArrayLike<number>, width: number, padding: number): number[] =>
            from === null ? new Array<number>(width).fill(padding) : part(array, from, width);
          expect(part(inputs.observations, at, O)).toEqual(expected(batch.inputs.observations, O, 0));
          expect(part(inputs.actions!, at, a)).toEqual(expected(batch.inputs.actions!, a, 0));
          if (batch.inputs.actionMasks === null) expect(inputs.actionMasks).toBeNull();
          else expect(part(inputs.actionMasks!, at, P)).toEqual(expected(batch.inputs.actionMasks, P, 1));
        }
      }
    }
  });

  it.each([
    ["single steps", singleSteps],
    ["whole rows", wholeRows],
  ])("give and take columns step by step (%s)", (_name, arrangement) => {
    const random = new Random(6);
    for (let draw = 0; draw < 30; draw++) {
      const batch = recurrentBatch(random);
      const { inputs, toSteps, toInputs } = arrangement.layOut(batch);
      // The first number of each observation, seen from either side.
      const first = (observations: Float32Array): Float32Array =>
        Float32Array.from({ length: observations.length / O }, (_, k) => observations[k * O]!);
      const [outside, inside] = [first(batch.inputs.observations), first(inputs.observations)];
      expect(toSteps(inside)).toEqual(outside);
      expect(Float32Array.from(toInputs(Float64Array.from(outside)))).toEqual(inside);
      // ⟨toInputs(c), y⟩ = ⟨c, toSteps(y)⟩: a cotangent pulled back through the layout, padding without a share.
      const cotangent = Float64Array.from(outside, () => random.integer(9) - 4);
      const column = Float32Array.from(inside, () => random.integer(9) - 4);
      const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
        Array.from(x).reduce((sum, value, k) => sum + value * y[k]!, 0);
      expect(dot(toInputs(cotangent), column)).toBe(dot(cotangent, toSteps(column)));
    }
  });
});

describe("rows with their final observations", () => {
  it("are one step longer each, and columns come apart again where they were joined", () => {
    const random = new Random(7);
    for (let draw = 0; draw < 30; draw++) {
      const batch = recurrentBatch(random);
      const extended = withFinalSteps(batch);
      const rows = batch.offsets.length - 1;
      expect(extended.inputs.steps).toBe(batch.inputs.steps + rows);
      expect(extended.initialStates).toEqual(batch.initialStates);
      const a = batch.inputs.actions!.length / batch.inputs.steps;
      for (let row = 0; row < rows; row++) {
        const length = lengthOf(batch, row);
        expect(lengthOf(extended, row)).toBe(length + 1);
        for (let t = 0; t <= length; t++) {
          const [at, from] = [extended.offsets[row]! + t, batch.offsets[row]! + t];
          const last = t === length;
          expect(part(extended.inputs.observations, at, O)).toEqual(
            last ? part(batch.finalObservations, row, O) : part(batch.inputs.observations, from, O),
          );
          expect(part(extended.inputs.actions!, at, a)).toEqual(
            last ? new Array<number>(a).fill(0) : part(batch.inputs.actions!, from, a),
          );
          if (batch.inputs.actionMasks === null) expect(extended.inputs.actionMasks).toBeNull();
          else {
            expect(part(extended.inputs.actionMasks!, at, P)).toEqual(
              last ? [1, 1, 1, 1] : part(batch.inputs.actionMasks, from, P),
            );
          }
        }
      }
      const first = Float64Array.from(
        { length: extended.inputs.steps },
        (_, k) => extended.inputs.observations[k * O]!,
      );
      const { steps, finals } = splitFinalSteps(batch, first);
      steps.forEach((x, k) => expect(x).toBe(batch.inputs.observations[k * O]));
      finals.forEach((x, row) => expect(x).toBe(batch.finalObservations[row * O]));
    }
  });
});
