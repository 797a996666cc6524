/** What swims in MinAtar/Seaquest-v1: ordered lists of things on the board, in columns of the state. */
import { onBoard } from "./board.js";

/** Fields of each thing; one that needs no timers has the first three. Steps are those until it moves, or shoots. */
export const X = 0;
export const Y = 1;
export const DIRECTION = 2;
export const MOVE_TIMER = 3;
export const SHOT_TIMER = 4;

/** Columns of the state that a list of `capacity` things takes. */
export function shoalColumns(fields: number, capacity: number): number {
  return 1 + fields * capacity;
}

/** Thing k of instance i has the index k of its place in the list, oldest first. */
export class Shoal {
  private readonly length: Float64Array;
  private readonly values: readonly Float64Array[];

  /** `columns`: shoalColumns(fields, capacity) of them. */
  constructor(
    columns: readonly Float64Array[],
    private readonly fields: number,
  ) {
    this.length = columns[0]!;
    this.values = columns.slice(1);
  }

  clear(i: number): void {
    this.length[i] = 0;
  }

  count(i: number): number {
    return this.length[i]!;
  }

  get(i: number, k: number, field: number): number {
    return this.values[k * this.fields + field]![i]!;
  }

  set(i: number, k: number, field: number, value: number): void {
    this.values[k * this.fields + field]![i] = value;
  }

  /** Appends a thing; a full list takes no more. */
  add(i: number, ...thing: readonly number[]): void {
    const k = this.length[i]!;
    if ((k + 1) * this.fields > this.values.length) return;
    this.length[i] = k + 1;
    thing.forEach((value, field) => this.set(i, k, field, value));
  }

  remove(i: number, k: number): void {
    const rest = --this.length[i]!;
    for (let at = k * this.fields; at < rest * this.fields; at++) {
      this.values[at]![i] = this.values[at + this.fields]![i]!;
    }
  }

  isAt(i: number, k: number, x: number, y: number): boolean {
    return this.get(i, k, X) === x && this.get(i, k, Y) === y;
  }

  /** The oldest thing in that cell; −1 = none. */
  find(i: number, x: number, y: number): number {
    for (let k = 0; k < this.length[i]!; k++) if (this.isAt(i, k, x, y)) return k;
    return -1;
  }

  /** Moves one cell ahead; removed, and false, where that is off the board. */
  swim(i: number, k: number): boolean {
    const x = this.get(i, k, X) + this.get(i, k, DIRECTION);
    this.set(i, k, X, x);
    if (!onBoard(x)) this.remove(i, k);
    return onBoard(x);
  }

  /** Counts its timer down; true = it was 0, and is `steps` again. */
  isDue(i: number, k: number, timer: number, steps: number): boolean {
    const left = this.get(i, k, timer);
    this.set(i, k, timer, left === 0 ? steps : left - 1);
    return left === 0;
  }
}
