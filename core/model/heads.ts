/** Action distributions on top of a network: from their parameters to log-probability and entropy (nats). */
import * as tf from "@tensorflow/tfjs-core";
import { SkeinError } from "../errors.js";
import { describeSpace, type Space } from "../env/spaces.js";
import { oneHot } from "./ops.js";

export interface Head {
  /** Numbers per step that the network must give this head. */
  readonly outputWidth: number;
  /** [N, A] actions → [N] */
  logprob(policy: tf.Tensor2D, actions: tf.Tensor2D): tf.Tensor1D;
  /** [N] */
  entropy(policy: tf.Tensor2D): tf.Tensor1D;
}

/** log softmax along the last axis, written in operations every backend has. */
function logSoftmax(logits: tf.Tensor2D): tf.Tensor2D {
  const shifted = tf.sub(logits, tf.max(logits, 1, true));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
}

/** Categorical over n actions; `policy` = logits [N, n]. */
export function categoricalHead(n: number): Head {
  return {
    outputWidth: n,
    logprob: (policy, actions) => tf.sum(tf.mul(logSoftmax(policy), oneHot(actions, n)), 1),
    entropy: (policy) => {
      const logprobs = logSoftmax(policy);
      return tf.neg(tf.sum(tf.mul(tf.exp(logprobs), logprobs), 1));
    },
  };
}

const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);

/** Diagonal Gaussian over k numbers; `policy` = mean ‖ log standard deviation [N, 2k]. */
export function gaussianHead(k: number): Head {
  const mean = (policy: tf.Tensor2D): tf.Tensor2D => tf.slice(policy, [0, 0], [-1, k]);
  const logStd = (policy: tf.Tensor2D): tf.Tensor2D => tf.slice(policy, [0, k], [-1, k]);
  return {
    outputWidth: 2 * k,
    logprob: (policy, actions) => {
      const scale = logStd(policy);
      const z = tf.mul(tf.sub(actions, mean(policy)), tf.exp(tf.neg(scale)));
      return tf.sub(tf.neg(tf.sum(tf.add(tf.mul(tf.mul(z, z), 0.5), scale), 1)), k * HALF_LOG_TWO_PI);
    },
    entropy: (policy) => tf.add(tf.sum(logStd(policy), 1), k * (0.5 + HALF_LOG_TWO_PI)),
  };
}

/** The head for an action space, or ENVIRONMENT_FAILED where none fits. */
export function headFor(space: Space): Head {
  switch (space.kind) {
    case "discrete":
      return categoricalHead(space.n);
    case "box":
      return gaussianHead(space.low.length);
    case "multiDiscrete":
      throw new SkeinError(
        "ENVIRONMENT_FAILED",
        `policy head: expected an action space Discrete or Box, got ${describeSpace(space)}; flatten it to Discrete`,
      );
  }
}
