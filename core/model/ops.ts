/**
 * Building blocks of every network. Where TensorFlow.js's own gradient takes more passes over memory than needed, or
 * kernels that are slow or missing on some backend, an operation brings its own.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Space } from "../env/spaces.js";

/**
 * A function of `inputs` with a gradient of its own. `forward` gives the value and what the gradient needs of it;
 * `gradient` gives one tensor for each input. Tensors that `forward` only closes over count as constants, and live on
 * in `gradient` only where they are saved.
 */
export function withGradient<Value extends tf.Tensor>(
  inputs: readonly tf.Tensor[],
  forward: () => { readonly value: Value; readonly saved: readonly tf.Tensor[] },
  gradient: (dy: Value, saved: readonly tf.Tensor[]) => tf.Tensor[],
): Value {
  const run = tf.customGrad((...args) => {
    const { value, saved } = forward();
    (args[inputs.length] as tf.GradSaveFunc)([...saved]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => gradient(dy as Value, kept),
    };
  });
  return run(...inputs);
}

/** The transpose of the last two axes. */
export function transposeLast<Matrices extends tf.Tensor>(x: Matrices): Matrices {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/**
 * x·w, x [N, I], w [I, O]. The gradient transposes explicitly: the transposeA/transposeB flags that TensorFlow.js's
 * own matMul gradient sets take a naive path in its WebAssembly backend, several times slower.
 */
export function project(x: tf.Tensor2D, w: tf.Tensor): tf.Tensor2D {
  return withGradient(
    [x, w],
    () => ({ value: tf.matMul(x, w as tf.Tensor2D), saved: [x, w] }),
    (dy, saved) => {
      const [input, weight] = saved as [tf.Tensor2D, tf.Tensor2D];
      return [tf.matMul(dy, transposeLast(weight)), tf.matMul(transposeLast(input), dy)];
    },
  );
}

/** x·w + b, x [N, I], w [I, O], b [O]; see `project`. */
export function linear(x: tf.Tensor2D, w: tf.Tensor, b: tf.Tensor): tf.Tensor2D {
  return withGradient(
    [x, w, b],
    () => ({ value: tf.add(tf.matMul(x, w as tf.Tensor2D), b), saved: [x, w] }),
    (dy, saved) => {
      const [input, weight] = saved as [tf.Tensor2D, tf.Tensor2D];
      return [tf.matMul(dy, transposeLast(weight)), tf.matMul(transposeLast(input), dy), tf.sum(dy, 0)];
    },
  );
}

/** max(x, 0); the gradient reads the output, which the next layer holds anyway. */
export function relu<T extends tf.Tensor>(x: T): T {
  return withGradient(
    [x],
    () => {
      const value = tf.relu(x);
      return { value, saved: [value] };
    },
    (dy, [y]) => [tf.mul(dy, tf.cast(tf.greater(y!, 0), "float32"))],
  );
}

/** One-hot rows [N, Σ sizes] of integers [N, K], side by side. */
export function oneHots(indices: tf.Tensor2D, sizes: readonly number[]): tf.Tensor2D {
  const owner = sizes.flatMap((size, k) => new Array<number>(size).fill(k));
  const value = sizes.flatMap((size) => Array.from({ length: size }, (_, index) => index));
  const spread = sizes.length === 1 ? indices : tf.gather(indices, tf.tensor1d(owner, "int32"), 1);
  const same = tf.equal(tf.cast(spread, "float32"), tf.tensor1d(value, "float32"));
  return tf.cast(same, "float32") as tf.Tensor2D;
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
      return oneHots(observations, [space.n]);
    case "multiDiscrete":
      return oneHots(observations, space.sizes);
  }
}
