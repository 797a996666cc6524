/**
 * How a batch becomes inputs of an engine. A network without memory sees its steps one by one, in any order; one with
 * memory sees whole rows from the memory they began with. Only here are the two told apart.
 */
import { rowsByGroup } from "../algo/group-statistics.js";
import type { EngineInputs } from "../engine/engine.js";
import { paddedSize } from "../engine/padded-size.js";
import { rowCount } from "../types.js";
import { rowColumn, type Batch } from "./batch.js";
import type { UpdatePlan } from "./recipe.js";
import { selectRows, selectSteps } from "./select.js";

/** The N steps of a batch as B sequences of T steps; B·T ≥ N, what lies between is padding. */
export interface Layout {
  readonly inputs: EngineInputs;
  /** A column of the engine [B·T·width] as the batch's steps have it [N·width]. */
  readonly toSteps: (column: Float32Array) => Float32Array;
  /** A column of the batch's steps [N·width] where the engine has them [B·T·width]; 0 in the padding. */
  readonly toInputs: (column: Float64Array) => Float64Array;
}

/** The things that a batch is shuffled and split by, numbered from 0. */
export interface Arrangement {
  count(batch: Batch): number;
  /** `order` cut into at most `parts` runs with about equally many steps, and none without any. */
  split(batch: Batch, order: Uint32Array, parts: number): Uint32Array[];
  /** Those named, in that order, as a batch of its own. */
  select(batch: Batch, things: Uint32Array): Batch;
  layOut(batch: Batch): Layout;
}

const stepByStep: Arrangement["layOut"] = ({ inputs }) => ({
  inputs,
  toSteps: (column) => column,
  toInputs: (column) => column,
});

export const singleSteps: Arrangement = {
  count: (batch) => batch.inputs.steps,
  split: (_batch, order, parts) => {
    const size = Math.ceil(order.length / parts);
    const runs: Uint32Array[] = [];
    for (let at = 0; at < order.length; at += size) runs.push(order.subarray(at, at + size));
    return runs;
  },
  select: selectSteps,
  layOut: stepByStep,
};

const rowLength = ({ offsets }: Batch, row: number): number => offsets[row + 1]! - offsets[row]!;

export const wholeRows: Arrangement = {
  count: rowCount,
  split: (batch, order, parts) =>
    splitEvenly((row) => rowLength(batch, row), batch.inputs.steps, order, parts),
  select: selectRows,
  layOut: layOutRows,
};

const groupsOf = (batch: Batch): number[][] => rowsByGroup(rowColumn(batch, "group"));

const wholeGroups: Arrangement = {
  count: (batch) => groupsOf(batch).length,
  split: (batch, order, parts) => {
    const sizes = groupsOf(batch).map((rows) => rows.reduce((sum, row) => sum + rowLength(batch, row), 0));
    return splitEvenly((group) => sizes[group]!, batch.inputs.steps, order, parts);
  },
  select: (batch, things) => {
    const groups = groupsOf(batch);
    return selectRows(batch, Uint32Array.from([...things].flatMap((group) => groups[group]!)));
  },
  layOut: layOutRows,
};

export function arrangementOf(
  batch: Batch,
  minibatchesOf: UpdatePlan["minibatchesOf"] = "steps",
): Arrangement {
  const hasMemory = batch.initialStates.length > 0;
  if (minibatchesOf === "steps") return hasMemory ? wholeRows : singleSteps;
  const whole = minibatchesOf === "rows" ? wholeRows : wholeGroups;
  return hasMemory ? whole : { ...whole, layOut: stepByStep };
}

/** Cuts where the steps so far are nearest to the k-th of `parts` equal shares; what is longer takes several shares. */
function splitEvenly(
  lengthOf: (thing: number) => number,
  total: number,
  order: Uint32Array,
  parts: number,
): Uint32Array[] {
  const share = total / parts;
  const runs: Uint32Array[] = [];
  let [from, stepsAtFrom, steps, k] = [0, 0, 0, 1];
  for (let i = 0; i < order.length; i++) {
    const length = lengthOf(order[i]!);
    if (k < parts && steps > stepsAtFrom && steps + length / 2 > k * share) {
      runs.push(order.subarray(from, i));
      [from, stepsAtFrom] = [i, steps];
      k = Math.max(k, Math.round(steps / share)) + 1;
    }
    steps += length;
  }
  if (steps > stepsAtFrom) runs.push(order.subarray(from));
  return runs;
}

/** One sequence a row, each as long as the longest or a little longer. Padding observes and chose zeros and allows every action. */
function layOutRows(batch: Batch): Layout {
  const { offsets, initialStates } = batch;
  const { steps, observations, actions, actionMasks } = batch.inputs;
  const rows = rowCount(batch);
  let longest = 0;
  for (let row = 0; row < rows; row++) longest = Math.max(longest, offsets[row + 1]! - offsets[row]!);
  longest = paddedSize(longest);
  const total = rows * longest;

  /** [N·width] to `out` [B·T·width] */
  const scatter = <T extends Float32Array | Float64Array | Int32Array | Uint8Array>(source: T, out: T): T => {
    const width = source.length / steps;
    for (let row = 0; row < rows; row++) {
      const part = source.subarray(offsets[row]! * width, offsets[row + 1]! * width);
      out.set(part, row * longest * width);
    }
    return out;
  };
  const room = (column: { readonly length: number }): number => (column.length / steps) * total;

  return {
    inputs: {
      steps: total,
      sequenceLength: longest,
      observations: scatter(observations, new Float32Array(room(observations))),
      actions:
        actions === null
          ? null
          : scatter<Float32Array | Int32Array>(
              actions,
              actions instanceof Int32Array ? new Int32Array(room(actions)) : new Float32Array(room(actions)),
            ),
      actionMasks:
        actionMasks === null ? null : scatter(actionMasks, new Uint8Array(room(actionMasks)).fill(1)),
      states: initialStates,
    },
    toSteps: (column) => {
      const width = column.length / total;
      const out = new Float32Array(steps * width);
      for (let row = 0; row < rows; row++) {
        const [from, to] = [offsets[row]!, offsets[row + 1]!];
        const at = row * longest;
        out.set(column.subarray(at * width, (at + to - from) * width), from * width);
      }
      return out;
    },
    toInputs: (column) => scatter(column, new Float64Array(room(column))),
  };
}
