/** Named columns on the wire, and what a set of rollout columns must satisfy on both sides of it. */
import type { RolloutColumns } from "../types.js";
import { rowCount, stepCount, StopReason } from "../types.js";
import { alignedPrefix, prefixOf } from "./parts.js";
import { corrupt, messageCodec } from "./schema.js";
import { arrayOf, bytesOf, dtypeOf, type ColumnArray } from "./typed-bytes.js";

/** Decoded shape of skein.v1.Column. */
export interface WireColumn {
  readonly name: string;
  readonly dtype: string | number;
  readonly width: number;
  readonly data: Uint8Array;
}

export function toColumn(name: string, array: ColumnArray, width = 1): WireColumn {
  return { name, dtype: dtypeOf(array), width, data: bytesOf(array) };
}

const columnHead = messageCodec<Omit<WireColumn, "data">>("Column");
/** Field numbers of Column. */
const DATA = { field: 4, padding: 5 };

/** A column as field `field` of a message of which `at` bytes stand before; its data at a multiple of 4 bytes. */
export function columnParts(field: number, { data, ...head }: WireColumn, at: number): Uint8Array[] {
  const about = columnHead.encode(head);
  const within = (before: number): Uint8Array =>
    alignedPrefix(DATA, data.byteLength, before + about.byteLength);
  const sized = (prefix: Uint8Array): Uint8Array =>
    prefixOf(field, about.byteLength + prefix.byteLength + data.byteLength);
  // The padding changes the length of the whole, which may take a byte more to say: then data is not aligned.
  const outside = sized(within(at)).byteLength;
  const prefix = within(at + outside);
  return [sized(prefix), about, prefix, data];
}

/** Takes the columns of one message by name; each exactly once. Throws MESSAGE_CORRUPT. */
export class ColumnReader {
  private readonly columns = new Map<string, WireColumn>();

  constructor(
    private readonly where: string,
    columns: readonly WireColumn[],
  ) {
    for (const column of columns) {
      if (this.columns.has(column.name)) throw corrupt(where, "each column once", `"${column.name}" twice`);
      this.columns.set(column.name, column);
    }
  }

  /** Takes `column` for one that the message leaves out. */
  assume(column: WireColumn): void {
    if (!this.columns.has(column.name)) this.columns.set(column.name, column);
  }

  float32(name: string, width = 1): Float32Array {
    return this.take(name, width, Float32Array);
  }

  uint32(name: string): Uint32Array {
    return this.take(name, 1, Uint32Array);
  }

  uint8(name: string, width = 1): Uint8Array {
    return this.take(name, width, Uint8Array);
  }

  int32OrFloat32(name: string, width: number): Int32Array | Float32Array {
    const dtype = this.find(name).dtype;
    return dtype === "DTYPE_INT32"
      ? this.take(name, width, Int32Array)
      : this.take(name, width, Float32Array);
  }

  width(name: string): number {
    return this.find(name).width;
  }

  /** All that is left, as float32 columns of width 1. */
  remaining(): Record<string, Float32Array> {
    return Object.fromEntries([...this.columns.keys()].map((name) => [name, this.float32(name)]));
  }

  /** Throws MESSAGE_CORRUPT where a column was not taken. */
  expectEmpty(): void {
    const left = [...this.columns.keys()];
    if (left.length > 0) throw corrupt(this.where, "no other columns", `"${left.join('", "')}"`);
  }

  private find(name: string): WireColumn {
    const column = this.columns.get(name);
    if (column === undefined) throw corrupt(this.where, `a column "${name}"`, "none");
    return column;
  }

  private take<T extends ColumnArray>(
    name: string,
    width: number,
    type: abstract new (...args: never[]) => T,
  ): T {
    const column = this.find(name);
    this.columns.delete(name);
    const where = `${this.where}, column "${name}"`;
    if (column.width !== width) throw corrupt(where, `width ${width}`, `${column.width}`);
    const array = arrayOf(where, column.dtype, column.data);
    if (!(array instanceof type)) throw corrupt(where, type.name, String(column.dtype));
    return array;
  }
}

/** What is wrong with a set of columns as `expected …, got …`; null = consistent. */
export function columnsComplaint(columns: RolloutColumns): string | null {
  const steps = stepCount(columns);
  const rows = rowCount(columns);
  if (rows < 0) return "expected offsets [rows + 1], got []";
  const lengths: [name: string, expected: number, got: number][] = [
    ["observations", steps * columns.observationWidth, columns.observations.length],
    ["actions", steps * columns.actionWidth, columns.actions.length],
    ["actionMasks", steps * columns.actionMaskWidth, columns.actionMasks.length],
    ["anchorIndices", columns.anchorIndices.length === 0 ? 0 : steps, columns.anchorIndices.length],
    [
      "postObservations",
      columns.postObservations.length === 0 ? 0 : steps * columns.observationWidth,
      columns.postObservations.length,
    ],
    ["rewards", steps, columns.rewards.length],
    ["mask", steps, columns.mask.length],
    ["initialStates", rows * columns.stateWidth, columns.initialStates.length],
    ["finalObservations", rows * columns.observationWidth, columns.finalObservations.length],
    ["terminated", rows, columns.terminated.length],
    ["truncated", rows, columns.truncated.length],
    ["stopReasons", rows, columns.stopReasons.length],
    ["trajectoryIds", rows, columns.trajectoryIds.length],
    ["seeds", rows, columns.seeds.length],
    ["versionRunValues", columns.versionRunLengths.length, columns.versionRunValues.length],
    ...Object.entries(columns.stepExtras).map(([name, a]): [string, number, number] => [
      name,
      steps,
      a.length,
    ]),
    ...Object.entries(columns.rowCounters).map(([name, a]): [string, number, number] => [
      name,
      rows,
      a.length,
    ]),
  ];
  const wrong = lengths.find(([, expected, got]) => expected !== got);
  if (wrong !== undefined) return `expected ${wrong[0]} [${wrong[1]}], got [${wrong[2]}]`;
  if (columns.anchorIndices.length === 0 && columns.anchorTexts.length > 0) {
    return `expected no anchor texts without anchor indices, got ${columns.anchorTexts.length} bytes`;
  }
  return (
    offsetsComplaint(columns.offsets, steps) ??
    runsComplaint(columns, steps) ??
    stopComplaint(columns) ??
    maskComplaint(columns)
  );
}

function offsetsComplaint(offsets: Uint32Array, steps: number): string | null {
  if (offsets[0] !== 0) return `expected offsets to start at 0, got ${offsets[0]}`;
  for (let row = 1; row < offsets.length; row++) {
    if (offsets[row]! < offsets[row - 1]!) {
      return `expected offsets never to fall, got ${offsets[row]} after ${offsets[row - 1]}`;
    }
  }
  const last = offsets[offsets.length - 1]!;
  return last === steps ? null : `expected the last offset to be the ${steps} steps, got ${last}`;
}

function runsComplaint(columns: RolloutColumns, steps: number): string | null {
  const covered = columns.versionRunLengths.reduce((sum, length) => sum + length, 0);
  return covered === steps ? null : `expected version runs over ${steps} steps, got ${covered}`;
}

function maskComplaint({ actionMasks }: RolloutColumns): string | null {
  const unknown = actionMasks.find((allowed) => allowed > 1);
  return unknown === undefined ? null : `expected action masks of 0 and 1, got ${unknown}`;
}

function stopComplaint(columns: RolloutColumns): string | null {
  const unknown = columns.stopReasons.find((reason) => reason > StopReason.deadline);
  return unknown === undefined ? null : `expected stop reasons 0 to ${StopReason.deadline}, got ${unknown}`;
}
