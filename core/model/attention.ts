/** Causal self-attention with rotary position embedding. Axes: B sequences, H heads, L tokens, d numbers a head. */
import * as tf from "@tensorflow/tfjs-core";
import { transposeLast, withGradient } from "./ops.js";

const ROTARY_BASE = 10_000;
const FORBIDDEN = -1e9;

/** Rotations of L positions over d numbers: cosines, and sines negated for the first half; both [L, d]. */
export interface Rotation {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
}

/**
 * Angles pos·10000^(−2i/d) for the pairs (i, i + d/2), everything times `scale` (Su et al. 2021, "RoFormer";
 * half-split pairs).
 */
export function rotation(length: number, width: number, scale: number): Rotation {
  const cos = new Float32Array(length * width);
  const sin = new Float32Array(length * width);
  const half = width / 2;
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * ROTARY_BASE ** ((-2 * i) / width);
      const at = position * width + i;
      cos[at] = cos[at + half] = scale * Math.cos(angle);
      sin[at + half] = scale * Math.sin(angle);
      sin[at] = -sin[at + half]!;
    }
  }
  return { cos: tf.tensor2d(cos, [length, width]), sin: tf.tensor2d(sin, [length, width]) };
}

/** Exchanges the two halves of the last axis. */
function swapHalves(x: tf.Tensor4D): tf.Tensor4D {
  const width = x.shape[3];
  const halves = tf.reshape(x, [-1, 2, width / 2]);
  return tf.reshape(tf.gather(halves, tf.tensor1d([1, 0], "int32"), 1), x.shape);
}

/** x [B, H, L, d] rotated by the angles of its positions; the gradient is the rotation back. */
export function rotate(x: tf.Tensor4D, { cos, sin }: Rotation): tf.Tensor4D {
  return withGradient(
    [x],
    () => ({ value: tf.add(tf.mul(x, cos), tf.mul(swapHalves(x), sin)), saved: [cos, sin] }),
    (dy, [c, s]) => [tf.sub(tf.mul(dy, c!), tf.mul(swapHalves(dy), s!))],
  );
}

/** What is added to scores [L, L]: 0 where the key is not after the query, else −1e9. */
export function causalMask(length: number): tf.Tensor2D {
  const mask = new Float32Array(length * length);
  for (let query = 0; query < length; query++)
    mask.fill(FORBIDDEN, query * length + query + 1, (query + 1) * length);
  return tf.tensor2d(mask, [length, length]);
}

/**
 * softmax(q·kᵀ + mask)·v; q (already divided by √d), k and v [B, H, L, d], mask [L, L]. The gradient of the softmax
 * uses Σ_key P·∂P = Σ_d O·∂O (Dao et al. 2022, "FlashAttention", appendix B), a sum over d instead of L numbers.
 */
export function attend(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, mask: tf.Tensor2D): tf.Tensor4D {
  return withGradient(
    [q, k, v],
    () => {
      const weights = tf.softmax(tf.add<tf.Tensor4D>(tf.matMul(q, transposeLast(k)), mask));
      const value = tf.matMul<tf.Tensor4D>(weights, v);
      return { value, saved: [q, k, v, weights, value] };
    },
    (dy, saved) => {
      const [query, key, content, weights, value] = saved as tf.Tensor4D[] & { length: 5 };
      const along = tf.sum(tf.mul(dy, value!), 3, true);
      const dScores = tf.mul<tf.Tensor4D>(weights!, tf.sub(tf.matMul(dy, transposeLast(content!)), along));
      return [
        tf.matMul(dScores, key!),
        tf.matMul(transposeLast(dScores), query!),
        tf.matMul(transposeLast(weights!), dy),
      ];
    },
  );
}
