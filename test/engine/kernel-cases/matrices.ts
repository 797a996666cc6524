import * as tf from "@tensorflow/tfjs-core";
import { differentiable, normal, plain, type KernelCase } from "./case.js";

export const matrices: readonly KernelCase[] = [
  ...[false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) =>
      differentiable(
        `matMul${transposeA ? ", left transposed" : ""}${transposeB ? ", right transposed" : ""}`,
        (a, b) => tf.matMul(a, b, transposeA, transposeB),
        transposeA ? normal(4, 3) : normal(3, 4),
        transposeB ? normal(5, 4) : normal(4, 5),
      ),
    ),
  ),
  ...[false, true].map((transposed) =>
    differentiable(
      `matMul of stacks${transposed ? ", both transposed" : ""}`,
      (a, b) => tf.matMul(a, b, transposed, transposed),
      transposed ? normal(2, 3, 5, 4) : normal(2, 3, 4, 5),
      transposed ? normal(2, 3, 6, 5) : normal(2, 3, 5, 6),
    ),
  ),
  plain("matMul of stacks that broadcast", (a, b) => tf.matMul(a, b), normal(5, 3, 4), normal(1, 4, 2)),
  differentiable(
    "matMul of transposes",
    (a, b) => tf.matMul(tf.transpose(a), tf.transpose(b)),
    normal(4, 3),
    normal(5, 4),
  ),
  differentiable(
    "matMul of transposes, transposed",
    (a, b) => tf.matMul(tf.transpose(a), tf.transpose(b), true, true),
    normal(3, 4),
    normal(4, 5),
  ),
  differentiable(
    "matMul with a bias",
    (a, b, c) => tf.add(tf.matMul(a, b), c),
    normal(3, 4),
    normal(4, 5),
    normal(5),
  ),
  differentiable(
    "matMul with a column added",
    (a, b, c) => tf.add(tf.matMul(a, b), c),
    normal(3, 4),
    normal(4, 3),
    normal(3, 1),
  ),
  differentiable(
    "matMul with and without its bias",
    (a, b, c) => [tf.matMul(a, b), tf.add(tf.matMul(a, b), c)],
    normal(3, 4),
    normal(4, 5),
    normal(5),
  ),
  differentiable(
    "matMul with two biases",
    (a, b, c) => tf.add(tf.add(tf.matMul(a, b), c), c),
    normal(3, 4),
    normal(4, 5),
    normal(5),
  ),
];
