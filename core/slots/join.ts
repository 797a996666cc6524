/** Two batches of one environment as one. */
import { rowCount } from "../types.js";
import type { Batch, ColumnSet } from "./batch.js";

type Numbers = Float32Array | Int32Array | Float64Array | Uint8Array;

function append<T extends Numbers>(a: T, b: T): T {
  const make = a.constructor as new (length: number) => T;
  const out = new make(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Columns that both have, but for anchors, which each batch numbers by itself. */
function appendColumns(a: ColumnSet, b: ColumnSet): ColumnSet {
  const both = Object.keys(a).filter((name) => b[name] !== undefined && name !== "anchor");
  return Object.fromEntries(both.map((name) => [name, append(a[name]!, b[name]!)]));
}

/** The rows of `a`, then those of `b`, with the columns that both have and without anchors. */
export function joinBatches(a: Batch, b: Batch): Batch {
  const [first, second] = [a.inputs, b.inputs];
  const both = <T extends Numbers>(x: T | null = null, y: T | null = null): T | null =>
    x === null || y === null ? null : append(x, y);
  const offsets = new Uint32Array(rowCount(a) + rowCount(b) + 1);
  offsets.set(a.offsets);
  offsets.set(
    b.offsets.map((offset) => offset + first.steps),
    rowCount(a),
  );
  return {
    offsets,
    step: appendColumns(a.step, b.step),
    row: appendColumns(a.row, b.row),
    mask: append(a.mask, b.mask),
    terminated: append(a.terminated, b.terminated),
    inputs: {
      steps: first.steps + second.steps,
      observations: append(first.observations, second.observations),
      postObservations: both(first.postObservations, second.postObservations),
      actions: both<Float32Array | Int32Array>(first.actions, second.actions),
      actionMasks: both(first.actionMasks, second.actionMasks),
    },
    initialStates: append(a.initialStates, b.initialStates),
    finalObservations: append(a.finalObservations, b.finalObservations),
  };
}
