/**
 * The layout every function of core/algo shares. R ragged rows hold N steps in all: row i owns the steps
 * offsets[i] … offsets[i+1]−1, a column is one number a step, and `mask` says which steps the policy chose
 * (1) and which are prompt, tool output or padding (0).
 */
import { SkeinError, expectLength } from "../errors.js";

/** Network outputs arrive as float32; everything computed here is float64. */
export type FloatArray = Float32Array | Float64Array;

/** What a loss term writes: loss [N] and gate = ∂loss/∂x per step, [N·width] for a live column x of that width. */
export interface LossAndGate {
  readonly loss: Float64Array;
  readonly gate: Float64Array;
}

export function lossAndGate(steps: number, width = 1): LossAndGate {
  return { loss: new Float64Array(steps), gate: new Float64Array(steps * width) };
}

/** Throws SHAPE unless `offsets` [R+1] runs from 0 to `steps` without going back. */
export function expectOffsets(where: string, offsets: Uint32Array, steps: number): void {
  const rows = offsets.length - 1;
  if (rows < 0) throw new SkeinError("SHAPE", `${where}: expected offsets [R+1], got [0]`);
  if (offsets[0] !== 0 || offsets[rows] !== steps) {
    const got = `${offsets[0]} … ${offsets[rows]}`;
    throw new SkeinError("SHAPE", `${where}: expected offsets from 0 to ${steps}, got ${got}`);
  }
  for (let i = 0; i < rows; i++) {
    if (offsets[i]! > offsets[i + 1]!) {
      throw new SkeinError("SHAPE", `${where}: expected ascending offsets, got a step back after row ${i}`);
    }
  }
}

/** Throws SHAPE unless elements offset … offset+count−1 exist: for functions that read a slice of a longer array. */
export function expectSpan(where: string, name: string, length: number, offset: number, count: number): void {
  if (!(count >= 1 && offset >= 0 && offset + count <= length)) {
    const wanted = `at least one and all of ${offset} … ${offset + count - 1}`;
    throw new SkeinError("SHAPE", `${where}: expected ${name} to hold ${wanted}, got [${length}]`);
  }
}

/** L_i = Σ_t mask_{i,t}, the number of steps the policy chose in each row; [R]. */
export function chosenPerRow(mask: Uint8Array, offsets: Uint32Array): Float64Array {
  expectOffsets("chosenPerRow", offsets, mask.length);
  const lengths = new Float64Array(offsets.length - 1);
  for (let i = 0; i < lengths.length; i++) {
    let length = 0;
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) length += mask[t]!;
    lengths[i] = length;
  }
  return lengths;
}

/** Gives every step of row i the value of row i: [R] → [N]. */
export function spreadRows(rowValues: Float64Array, offsets: Uint32Array): Float64Array {
  expectLength("spreadRows", "rowValues", offsets.length - 1, rowValues.length);
  const steps = new Float64Array(offsets[offsets.length - 1]!);
  expectOffsets("spreadRows", offsets, steps.length);
  for (let i = 0; i < rowValues.length; i++) steps.fill(rowValues[i]!, offsets[i], offsets[i + 1]);
  return steps;
}

/** x at each of `indices`; [n]. */
export function gather(x: FloatArray, indices: readonly number[]): Float64Array {
  return Float64Array.from(indices, (i) => x[i]!);
}

/**
 * Whole numbers [count], equal exactly where `keyOf` is: 0 for the first key, 1 for the next one that is not known, and so
 * on.
 */
export function numberBy(count: number, keyOf: (i: number) => string): Float64Array {
  const numbers = new Map<string, number>();
  return Float64Array.from({ length: count }, (_, i) => {
    const key = keyOf(i);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
}
