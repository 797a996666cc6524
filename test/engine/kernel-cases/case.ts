/** What a kernel is called with, and whether its gradient is asked for too. */
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../core/random.js";
import type { Computation, Input } from "../onnx-run.js";

export interface KernelCase {
  readonly name: string;
  readonly compute: Computation;
  readonly inputs: readonly Input[];
  /** Whether its gradient is compared too. */
  readonly gradient: boolean;
}

const random = new Random(17);
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Standard normal numbers. */
export function normal(...shape: number[]): Input {
  return { shape, dtype: "float32", data: Array.from({ length: sizeOf(shape) }, () => random.normal()) };
}

/** Numbers from 0.2 to 2.2. */
export function positive(...shape: number[]): Input {
  return {
    shape,
    dtype: "float32",
    data: Array.from({ length: sizeOf(shape) }, () => 0.2 + 2 * random.uniform()),
  };
}

/** Integers from −4 to 4. */
export function integers(...shape: number[]): Input {
  return {
    shape,
    dtype: "int32",
    data: Array.from({ length: sizeOf(shape) }, () => random.integer(9) - 4),
  };
}

/** Integers from 0 below n, each some time. */
export function below(n: number, ...shape: number[]): Input {
  return { shape, dtype: "int32", data: Array.from({ length: sizeOf(shape) }, (_, i) => (i * 5 + 2) % n) };
}

export function exactly(data: readonly number[], dtype: "float32" | "int32" = "float32"): Input {
  return { shape: [data.length], dtype, data };
}

type Op<T extends tf.Tensor = tf.Tensor> = (...x: T[]) => tf.Tensor | readonly tf.Tensor[];

/** `T`: the ranks that the operation's types ask for; the shapes beside it are what is checked. */
export function differentiable<T extends tf.Tensor>(
  name: string,
  compute: Op<T>,
  ...inputs: Input[]
): KernelCase {
  return { name, compute: compute as Computation, inputs, gradient: true };
}

export function plain<T extends tf.Tensor>(name: string, compute: Op<T>, ...inputs: Input[]): KernelCase {
  return { name, compute: compute as Computation, inputs, gradient: false };
}

/** Truths that no gradient can reach. */
export const fixedTruth = (): tf.Tensor => tf.greater(tf.tensor1d([1, -1, -2, 3]), 0);
export const truth = (x: tf.Tensor): tf.Tensor => tf.greater(x, 0);
