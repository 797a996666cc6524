/** Normalisation over the last axis, with gradients written out: three reductions instead of TensorFlow.js's many. */
import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./ops.js";

const RMS_EPSILON = 1e-6;
const LAYER_EPSILON = 1e-5;

/** mean(x·weight) over the last axis of x [N, D], as one product with a column: [N, 1]. */
function weightedMean(x: tf.Tensor2D, weight: tf.Tensor): tf.Tensor2D {
  const [, width] = x.shape;
  return tf.matMul(x, tf.mul(tf.reshape(weight, [width, 1]), 1 / width));
}

/**
 * x·(mean(x²) + 1e-6)^−½·weight, x [N, D], weight [D] (Zhang & Sennrich 2019, "Root Mean Square Layer Normalization").
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor): tf.Tensor2D {
  return withGradient(
    [x, weight],
    () => {
      const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), RMS_EPSILON));
      const normal = tf.mul(x, scale);
      return { value: tf.mul(normal, weight), saved: [normal, scale, weight] };
    },
    (dy, saved) => {
      const [normal, scale, w] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor];
      const product = tf.mul<tf.Tensor2D>(dy, normal);
      const along = tf.mul(normal, weightedMean(product, w));
      return [tf.mul(tf.sub(tf.mul(dy, w), along), scale), tf.sum(product, 0)];
    },
  );
}

/**
 * (x − mean)·(variance + 1e-5)^−½·weight + bias, x [N, D], weight and bias [D], biased variance (Ba et al. 2016,
 * "Layer Normalization").
 */
export function layerNorm(x: tf.Tensor2D, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor2D {
  return withGradient(
    [x, weight, bias],
    () => {
      const centred = tf.sub(x, tf.mean(x, 1, true));
      const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), LAYER_EPSILON));
      const normal = tf.mul(centred, scale);
      return { value: tf.add(tf.mul(normal, weight), bias), saved: [normal, scale, weight] };
    },
    (dy, saved) => {
      const [normal, scale, w] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor];
      const product = tf.mul<tf.Tensor2D>(dy, normal);
      const along = tf.mul(normal, weightedMean(product, w));
      const rest = tf.sub(tf.sub(tf.mul(dy, w), weightedMean(dy, w)), along);
      return [tf.mul(rest, scale), tf.sum(product, 0), tf.sum(dy, 0)];
    },
  );
}
