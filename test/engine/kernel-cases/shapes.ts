import * as tf from "@tensorflow/tfjs-core";
import { differentiable, integers, normal, plain, type KernelCase } from "./case.js";

export const shapes: readonly KernelCase[] = [
  differentiable("reshape", (x) => tf.reshape(x, [4, -1]), normal(2, 3, 2)),
  differentiable(
    "reshape of a reshape of a broadcast",
    (x) => tf.reshape(tf.reshape(tf.tile(x, [3, 1]), [6, 2]), [2, 6]),
    normal(1, 4),
  ),
  plain("reshape of one number", (x) => tf.add(tf.reshape(tf.fill([2, 3], 2), [6]), x), normal(6)),
  differentiable("expandDims", (x) => [tf.expandDims(x, 1), tf.expandDims(x, -1)], normal(2, 3)),
  differentiable("squeeze", (x) => tf.squeeze(x), normal(2, 1, 3, 1)),
  differentiable("transpose", (x) => [tf.transpose(x), tf.transpose(x, [2, 0, 1])], normal(2, 3, 4)),
  differentiable(
    "transpose of a transpose",
    (x) => tf.transpose(tf.transpose(x, [1, 2, 0]), [0, 2, 1]),
    normal(2, 3, 4),
  ),
  differentiable("slice", (x) => tf.slice(x, [0, 1, 2], [-1, 2, 1]), normal(2, 3, 4)),
  differentiable("slice of everything", (x) => tf.slice(x, [0, 0], [2, 3]), normal(2, 3)),
  plain("stridedSlice", (x) => tf.stridedSlice(x, [0, 1], [4, 5], [2, 3]), normal(4, 6)),
  differentiable(
    "concat",
    (a, b) => [tf.concat([a, b], 1), tf.concat([a, b], -1)],
    normal(2, 3),
    normal(2, 2),
  ),
  differentiable(
    "concat of one and of none",
    (a) => [tf.concat([a]), tf.concat([a, tf.zeros([0, 3])])],
    normal(2, 3),
  ),
  differentiable("concat of broadcasts", (a) => tf.concat([a, tf.fill([2, 3], 4)]), normal(1, 3)),
  plain("concat of integers", (a, b) => tf.concat([a, b], 0), integers(2, 3), integers(1, 3)),
  differentiable("stack", (a, b) => [tf.stack([a, b]), tf.stack([a, b], -1)], normal(2, 3), normal(2, 3)),
  differentiable("unstack", (x) => [...tf.unstack(x, 1), ...tf.unstack(x, -1)], normal(2, 3, 2)),
  differentiable("split evenly", (x) => tf.split(x, 3, 1), normal(2, 6)),
  differentiable("split into sizes, one to be found", (x) => tf.split(x, [1, -1, 2], -1), normal(2, 6)),
  differentiable("tile", (x) => tf.tile(x, [2, 3]), normal(2, 3)),
  differentiable("tile of an axis of one", (x) => tf.tile(x, [4, 1]), normal(1, 3)),
  differentiable("broadcastTo", (x) => tf.broadcastTo(x, [4, 2, 3]), normal(2, 1)),
  differentiable(
    "pad",
    (x) =>
      tf.pad(x, [
        [1, 0],
        [0, 2],
      ]),
    normal(2, 3),
  ),
  plain("pad with a number", (x) => tf.pad(x, [[1, 2]], 7), normal(3)),
  plain("pad of integers", (x) => tf.pad(x, [[1, 2]], 7), integers(3)),
  plain("fill", (x) => [tf.add(x, tf.fill([3], 0.25)), tf.fill([2, 2], 3, "int32")], normal(3)),
  plain(
    "range",
    (x) => [tf.add(x, tf.range(0, 5)), tf.range(9, 0, -3, "int32"), tf.range(0.5, 3, 0.75)],
    normal(5),
  ),
  // Masks are bits by axis: begin, end, ellipsis, new axis, shrink axis.
  plain(
    "stridedSlice with begin and end left open",
    (x) => tf.stridedSlice(x, [3, 2], [1, 1], [1, 2], 1, 2),
    normal(4, 5),
  ),
  plain(
    "stridedSlice with an ellipsis",
    (x) => tf.stridedSlice(x, [0, 1], [1, 3], [1, 1], 0, 0, 1),
    normal(2, 3, 4),
  ),
  plain(
    "stridedSlice with a new axis",
    (x) => tf.stridedSlice(x, [0, 1], [0, 3], [1, 1], 0, 0, 0, 1),
    normal(4, 3),
  ),
  plain("stridedSlice from the end", (x) => tf.stridedSlice(x, [-3], [-1], [1]), normal(6)),
  plain("stridedSlice backwards", (x) => tf.stridedSlice(x, [4], [1], [-2]), normal(6)),
  plain("stridedSlice backwards to the start", (x) => tf.stridedSlice(x, [4], [0], [-1], 0, 1), normal(6)),
];
