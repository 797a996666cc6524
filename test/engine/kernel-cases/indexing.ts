import * as tf from "@tensorflow/tfjs-core";
import { below, differentiable, exactly, integers, normal, plain, type KernelCase } from "./case.js";

export const indexing: readonly KernelCase[] = [
  differentiable("gather", (x) => tf.gather(x, tf.tensor1d([2, 0, 2], "int32")), normal(3, 2)),
  differentiable(
    "gather along the second axis",
    (x) => tf.gather(x, tf.tensor1d([2, 0, 2], "int32"), 1),
    normal(2, 3),
  ),
  plain(
    "gather along the last axis",
    (x, at) => tf.gather(x, at as tf.Tensor1D, -1),
    normal(2, 3),
    below(3, 4),
  ),
  plain(
    "gather by a matrix of indices",
    (x, at) => tf.gather(x, at as tf.Tensor2D),
    normal(5, 2),
    below(5, 2, 3),
  ),
  plain("gather of integers", (x, at) => tf.gather(x, at as tf.Tensor1D), integers(5, 2), below(5, 4)),
  plain(
    "gatherND",
    (x) =>
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [0, 1],
            [2, 0],
            [2, 0],
          ],
          [3, 2],
          "int32",
        ),
      ),
    normal(3, 2),
  ),
  plain("gatherND of rows", (x, at) => tf.gatherND(x, at), normal(5, 2), below(5, 3, 1)),
  differentiable(
    "unsortedSegmentSum",
    (x) => tf.unsortedSegmentSum(x, tf.tensor1d([1, 0, 1, 3], "int32"), 4),
    normal(4, 3),
  ),
  plain(
    "scatterND adds at repeated indices",
    (at, x) => tf.scatterND(at, x, [5, 2]),
    below(5, 7, 1),
    normal(7, 2),
  ),
  plain("scatterND of integers", (at, x) => tf.scatterND(at, x, [5]), below(5, 4, 1), integers(4)),
  plain("oneHot", (at) => tf.oneHot(at, 4), below(4, 2, 3)),
  plain("oneHot of what is out of range", (at) => tf.oneHot(at, 3), exactly([-1, 0, 2, 3], "int32")),
  plain("oneHot with other numbers and type", (at) => tf.oneHot(at, 4, 2, -1, "float32"), below(4, 5)),
];
