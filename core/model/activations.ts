/** Smooth activations, each with a gradient in few passes. */
import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./ops.js";

/** √(2/π), and the cubic coefficient of the tanh approximation. */
const SLOPE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/**
 * GELU in its tanh approximation (Hendrycks & Gimpel 2016): ½x(1 + tanh(√(2/π)(x + 0.044715x³))), computed as
 * x·σ(2√(2/π)(x + 0.044715x³)), which is the same.
 */
export function gelu(x: tf.Tensor2D): tf.Tensor2D {
  return withGradient(
    [x],
    () => {
      const square = tf.square(x);
      const gate = tf.sigmoid(tf.mul(x, tf.add(tf.mul(square, 2 * SLOPE * CUBIC), 2 * SLOPE)));
      const value = tf.mul<tf.Tensor2D>(x, gate);
      return { value, saved: [square, gate, value] };
    },
    (dy, saved) => {
      const [square, gate, value] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const inner = tf.add(tf.mul(square, 6 * SLOPE * CUBIC), 2 * SLOPE);
      return [tf.mul(dy, tf.add(gate, tf.mul(tf.mul(value, tf.sub(1, gate)), inner)))];
    },
  );
}

/** gate·σ(gate) ⊙ up, both [N, F]: the gated unit of Shazeer 2020, "GLU Variants Improve Transformer". */
export function siluGate(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  return withGradient(
    [gate, up],
    () => {
      const sigmoid = tf.sigmoid(gate);
      const silu = tf.mul<tf.Tensor2D>(gate, sigmoid);
      return { value: tf.mul<tf.Tensor2D>(silu, up), saved: [sigmoid, silu, up] };
    },
    (dy, saved) => {
      const [sigmoid, silu, linear] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const slope = tf.add(sigmoid, tf.mul(silu, tf.sub(1, sigmoid)));
      return [tf.mul(tf.mul(dy, linear), slope), tf.mul(dy, silu)];
    },
  );
}
