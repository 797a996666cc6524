/** Parts of a batch, as batches of their own: single steps, or whole rows. They share no memory with it. */
import { rowCount } from "../types.js";
import type { Batch } from "./batch.js";

type Column = Float32Array | Int32Array | Float64Array | Uint8Array;

/** Elements `indices` of `source`, each `width` numbers wide, written to `out`. */
function gather<T extends Column>(source: T, out: T, indices: Uint32Array, width: number): T {
  if (width === 1) {
    for (let k = 0; k < indices.length; k++) out[k] = source[indices[k]!]!;
    return out;
  }
  for (let k = 0; k < indices.length; k++) {
    const from = indices[k]! * width;
    for (let j = 0; j < width; j++) out[k * width + j] = source[from + j]!;
  }
  return out;
}

/** The same of a column of `count` elements, into a new array. */
function pick<T extends Column>(source: T, count: number, indices: Uint32Array): T {
  const width = count === 0 ? 0 : source.length / count;
  const make = source.constructor as new (length: number) => T;
  return gather(source, new make(indices.length * width), indices, width);
}

function pickColumns(
  columns: Readonly<Record<string, Float64Array>>,
  count: number,
  indices: Uint32Array,
): Record<string, Float64Array> {
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, pick(column, count, indices)]),
  );
}

/**
 * The steps named, in that order, as a batch of its own in which every step is a row. Row columns and what
 * belongs to row ends are left behind: they have served their purpose once a batch is sealed.
 */
export function selectSteps(batch: Batch, indices: Uint32Array): Batch {
  const n = indices.length;
  const { steps, observations, postObservations, actions, actionMasks } = batch.inputs;
  return {
    ...(batch.anchorTexts === undefined ? {} : { anchorTexts: batch.anchorTexts }),
    offsets: Uint32Array.from({ length: n + 1 }, (_, i) => i),
    mask: pick(batch.mask, steps, indices),
    terminated: new Uint8Array(n),
    inputs: {
      steps: n,
      observations: pick(observations, steps, indices),
      ...(postObservations ? { postObservations: pick(postObservations, steps, indices) } : {}),
      actions: actions === null ? null : pick<Float32Array | Int32Array>(actions, steps, indices),
      actionMasks: actionMasks === null ? null : pick(actionMasks, steps, indices),
    },
    initialStates: new Float32Array(0),
    finalObservations: new Float32Array(0),
    step: pickColumns(batch.step, steps, indices),
    row: {},
  };
}

/** The rows named, in that order, with all that belongs to them. */
export function selectRows(batch: Batch, rows: Uint32Array): Batch {
  const count = rowCount(batch);
  const offsets = new Uint32Array(rows.length + 1);
  for (let k = 0; k < rows.length; k++) {
    const row = rows[k]!;
    offsets[k + 1] = offsets[k]! + batch.offsets[row + 1]! - batch.offsets[row]!;
  }
  const steps = new Uint32Array(offsets[rows.length]!);
  for (let k = 0; k < rows.length; k++) {
    const shift = batch.offsets[rows[k]!]! - offsets[k]!;
    for (let at = offsets[k]!; at < offsets[k + 1]!; at++) steps[at] = at + shift;
  }
  return {
    ...selectSteps(batch, steps),
    offsets,
    terminated: pick(batch.terminated, count, rows),
    initialStates: pick(batch.initialStates, count, rows),
    finalObservations: pick(batch.finalObservations, count, rows),
    row: pickColumns(batch.row, count, rows),
  };
}

/**
 * Every row with its final observation as one more step, which allows every action and chose action 0: what a network
 * is run on for its value there. Without columns.
 */
export function withFinalSteps(batch: Batch): Batch {
  const { steps, observations, postObservations, actions, actionMasks } = batch.inputs;
  const rows = rowCount(batch);
  const total = steps + rows;
  const offsets = batch.offsets.map((offset, row) => offset + row);
  const spread = <T extends Column>(source: T, final: T | number): T => {
    const width = source.length / steps;
    const make = source.constructor as new (length: number) => T;
    const out = new make(total * width);
    for (let row = 0; row < rows; row++) {
      const [from, to, at] = [batch.offsets[row]!, batch.offsets[row + 1]!, offsets[row]!];
      const end = (at + to - from) * width;
      out.set(source.subarray(from * width, to * width), at * width);
      if (typeof final === "number") out.fill(final, end, end + width);
      else out.set(final.subarray(row * width, (row + 1) * width), end);
    }
    return out;
  };
  return {
    ...batch,
    offsets,
    mask: new Uint8Array(total),
    inputs: {
      steps: total,
      observations: spread(observations, batch.finalObservations),
      ...(postObservations ? { postObservations: spread(postObservations, 0) } : {}),
      actions: actions === null ? null : spread<Float32Array | Int32Array>(actions, 0),
      actionMasks: actionMasks === null ? null : spread(actionMasks, 1),
    },
    step: {},
    row: {},
  };
}

/** A column [(N+R)·width] of `withFinalSteps(batch)`: what belongs to the steps [N·width], and to the rows' final observations [R·width]. */
export function splitFinalSteps(
  batch: Batch,
  column: Float64Array,
): { readonly steps: Float64Array; readonly finals: Float64Array } {
  const rows = rowCount(batch);
  const width = column.length / (batch.inputs.steps + rows);
  const steps = new Float64Array(batch.inputs.steps * width);
  const finals = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [batch.offsets[row]!, batch.offsets[row + 1]!];
    steps.set(column.subarray((from + row) * width, (to + row) * width), from * width);
    finals.set(column.subarray((to + row) * width, (to + row + 1) * width), row * width);
  }
  return { steps, finals };
}
