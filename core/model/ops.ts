/** Building blocks of the networks. */
import * as tf from "@tensorflow/tfjs-core";
import type { Space } from "../env/spaces.js";

/**
 * x·w + b, x [N, I], w [I, O], b [O]. The gradient transposes explicitly: the transposeA/transposeB flags that
 * TensorFlow.js's own matMul gradient sets take a naive path in its WebAssembly backend, several times slower.
 */
export const linear = tf.customGrad((x, w, b, save) => {
  const [input, weight, bias] = [x as tf.Tensor2D, w as tf.Tensor2D, b as tf.Tensor1D];
  (save as tf.GradSaveFunc)([input, weight]);
  return {
    value: tf.add(tf.matMul(input, weight), bias),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [savedInput, savedWeight] = saved as [tf.Tensor2D, tf.Tensor2D];
      const dOut = dy as tf.Tensor2D;
      return [
        tf.matMul(dOut, tf.transpose(savedWeight)),
        tf.matMul(tf.transpose(savedInput), dOut),
        tf.sum(dOut, 0),
      ];
    },
  };
}) as (x: tf.Tensor2D, w: tf.Tensor, b: tf.Tensor) => tf.Tensor2D;

/** One-hot rows [N, depth] of a column of indices [N, 1]. */
export function oneHot(indices: tf.Tensor2D, depth: number): tf.Tensor2D {
  return tf.cast(tf.oneHot(tf.cast(tf.squeeze(indices, [1]), "int32"), depth), "float32") as tf.Tensor2D;
}

/** Width of an encoded observation: what the first layer sees. */
export function encodedWidth(space: Space): number {
  switch (space.kind) {
    case "box":
      return space.low.length;
    case "discrete":
      return space.n;
    case "multiDiscrete":
      return space.sizes.reduce((a, b) => a + b, 0);
  }
}

/** Recorded observations [N, O] → network input [N, encodedWidth]: boxes as they are, integers one-hot. */
export function encodeObservations(observations: tf.Tensor2D, space: Space): tf.Tensor2D {
  switch (space.kind) {
    case "box":
      return observations;
    case "discrete":
      return oneHot(observations, space.n);
    case "multiDiscrete":
      return tf.concat(
        space.sizes.map((size, k) => oneHot(tf.slice(observations, [0, k], [-1, 1]), size)),
        1,
      );
  }
}
