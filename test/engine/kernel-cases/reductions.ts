import * as tf from "@tensorflow/tfjs-core";
import {
  differentiable,
  exactly,
  integers,
  normal,
  plain,
  positive,
  truth,
  type KernelCase,
} from "./case.js";

export const reductions: readonly KernelCase[] = [
  ...(
    [
      ["sum", tf.sum],
      ["mean", tf.mean],
      ["max", tf.max],
      ["min", tf.min],
    ] as const
  ).flatMap(([name, op]) => [
    differentiable(`${name} of all`, (x) => op(x), normal(2, 3, 4)),
    differentiable(`${name} along the last axis`, (x) => op(x, -1), normal(2, 3, 4)),
    differentiable(`${name} along two axes, kept`, (x) => op(x, [0, 2], true), normal(2, 3, 4)),
    differentiable(`${name} along an axis of one`, (x) => op(x, 1), normal(2, 1, 4)),
    differentiable(`${name} of a filled tensor`, (x) => tf.mul(x, op(tf.fill([4, 2], 0.5), 1)), normal(4)),
    plain(`${name} of integers`, (x) => op(x, 0), integers(3, 4)),
  ]),
  plain("sum and mean of truths", (x) => [tf.sum(truth(x)), tf.mean(truth(x))], normal(7)),
  plain("prod", (x) => tf.prod(x, 1), positive(2, 3)),
  plain("prod of integers", (x) => tf.prod(x, -1, true), integers(2, 3)),
  plain("argMax", (x) => [tf.argMax(x), tf.argMax(x, 1), tf.argMax(x, -1)], normal(3, 4, 2)),
  plain("argMax takes the first of equals", (x) => tf.argMax(x), exactly([1, 3, 3, 2])),
  differentiable("softmax", (x) => tf.softmax(x), normal(3, 5)),
  differentiable("softmax of far numbers", (x) => tf.softmax(x), exactly([1000, 999, -1e9])),
  differentiable("logSoftmax", (x) => tf.logSoftmax(x), normal(2, 3, 5)),
  differentiable("logSumExp", (x) => tf.logSumExp(x, -1), normal(3, 5)),
  differentiable("cumsum", (x) => tf.cumsum(x, 1), normal(2, 5)),
  differentiable("cumsum, exclusive, backwards", (x) => tf.cumsum(x, 1, true, true), normal(2, 5)),
  plain("cumsum along the first of three axes", (x) => tf.cumsum(x, 0, false, true), normal(3, 2, 2)),
  plain("cumsum of integers", (x) => tf.cumsum(x), integers(5)),
];
