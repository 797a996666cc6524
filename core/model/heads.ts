/** Action distributions on top of a network: from its output to log-probability and entropy (nats). */
import * as tf from "@tensorflow/tfjs-core";
import { gaussHermite } from "../algo/gauss-hermite.js";
import { logHalfRanges } from "../algo/tanh-gaussian.js";
import { describeSpace, type BoxSpace } from "../env/spaces.js";
import { SkeinError } from "../errors.js";
import type { ModelSpec, Parameters, ParameterSpec } from "./model.js";
import { oneHots, withGradient } from "./ops.js";

/** The distributions of N steps; each column is computed when asked for. */
export interface Distribution {
  /** [N, P] */
  readonly policy: () => tf.Tensor2D;
  /** [N, A] actions → [N] */
  readonly logprob: (actions: tf.Tensor2D) => tf.Tensor1D;
  /** [N] */
  readonly entropy: () => tf.Tensor1D;
}

export interface Head {
  /** Numbers per step that the network's last layer must give. */
  readonly outputWidth: number;
  /** P */
  readonly policyWidth: number;
  /** Parameters of its own. */
  readonly parameters: readonly ParameterSpec[];
  /** output [N, outputWidth]; masks [N, P], 1 = allowed, for integer actions; null = all are. */
  distribution(output: tf.Tensor2D, parameters: Parameters, masks: tf.Tensor2D | null): Distribution;
}

const FORBIDDEN = 1e9;

/** Applies f to the columns of each part by itself; results side by side. */
function byParts(
  sizes: readonly number[],
  tensors: readonly tf.Tensor2D[],
  f: (...parts: tf.Tensor2D[]) => tf.Tensor2D,
): tf.Tensor2D {
  if (sizes.length === 1) return f(...tensors);
  let at = 0;
  const results = sizes.map((size) => {
    const begin: [number, number] = [0, at];
    at += size;
    return f(...tensors.map((tensor) => tf.slice(tensor, begin, [-1, size])));
  });
  return tf.concat(results, 1);
}

function logSoftmax(logits: tf.Tensor2D): tf.Tensor2D {
  const shifted = tf.sub(logits, tf.max(logits, 1, true));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
}

/** [N] as a column [N, 1], so that it spreads over rows. */
function column(x: tf.Tensor): tf.Tensor2D {
  return tf.reshape(x, [-1, 1]);
}

/** Independent categoricals side by side; `policy` = their logits [N, Σ sizes], masked ones at −1e9. */
function categoricalHead(sizes: readonly number[]): Head {
  const width = sizes.reduce((a, b) => a + b, 0);
  return {
    outputWidth: width,
    policyWidth: width,
    parameters: [],
    distribution: (output, _, masks) => {
      const logits =
        masks === null ? output : tf.add<tf.Tensor2D>(output, tf.mul(tf.sub(masks, 1), FORBIDDEN));
      let logs: tf.Tensor2D | null = null;
      // Shared by both columns; their gradients with respect to the logits are written out, so none passes here.
      const logprobs = (): tf.Tensor2D => (logs ??= byParts(sizes, [logits], logSoftmax));
      return {
        policy: () => logits,
        logprob: (actions) => {
          const chosen = oneHots(actions, sizes);
          const all = logprobs();
          return withGradient<tf.Tensor1D>(
            [logits],
            () => ({ value: tf.sum(tf.mul(all, chosen), 1), saved: [all, chosen] }),
            (dy, [l, c]) => [tf.mul(column(dy), tf.sub(c!, tf.exp(l!)))],
          );
        },
        entropy: () => {
          const all = logprobs();
          return withGradient<tf.Tensor1D>(
            [logits],
            () => ({ value: tf.neg(tf.sum(tf.mul(tf.exp(all), all), 1)), saved: [all] }),
            (dy, saved) => {
              // ∂H/∂l = −p(log p + H), H of the logit's own part.
              const slope = byParts(sizes, saved as tf.Tensor2D[], (l) => {
                const p = tf.exp(l);
                return tf.mul(p, tf.sub(tf.sum(tf.mul(p, l), 1, true), l));
              });
              return [tf.mul(column(dy), slope)];
            },
          );
        },
      };
    },
  };
}

const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);

/**
 * Diagonal Gaussian over k numbers; `policy` = mean ‖ log standard deviation [N, 2k]. The deviation is the same in
 * every state ("The 37 implementation details of PPO", continuous detail 2).
 */
function gaussianHead(k: number): Head {
  return {
    outputWidth: k,
    policyWidth: 2 * k,
    parameters: [{ name: "actor/logStd", shape: [k], init: { kind: "constant", value: 0 } }],
    distribution: (mean, parameters) => {
      const logStd = parameters["actor/logStd"] as tf.Tensor1D;
      const spread = (): tf.Tensor => tf.sum(logStd);
      return {
        policy: () => tf.concat([mean, tf.add<tf.Tensor2D>(tf.zerosLike(mean), logStd)], 1),
        logprob: (actions) => {
          const z = tf.mul(tf.sub(actions, mean), tf.exp(tf.neg(logStd)));
          const offset = tf.add(spread(), k * HALF_LOG_TWO_PI);
          return tf.sub(tf.mul(tf.sum(tf.square(z), 1), -0.5), offset);
        },
        entropy: () => tf.add(tf.zeros([mean.shape[0]]), tf.add(spread(), k * (0.5 + HALF_LOG_TWO_PI))),
      };
    },
  };
}

/** log(1 − tanh² u) = 2(log 2 − |u| − log(1 + e^{−2|u|})), whose derivative is −2 tanh u. */
function logTanhSlope<T extends tf.Tensor>(u: T): T {
  return withGradient<T>(
    [u],
    () => {
      const size = tf.maximum(u, tf.neg(u));
      const tail = tf.log(tf.add(tf.exp(tf.mul(size, -2)), 1));
      return { value: tf.mul(tf.sub(Math.LN2, tf.add(size, tail)), 2), saved: [u] };
    },
    (dy, [saved]) => [tf.mul(dy, tf.mul(tf.tanh(saved!), -2))],
  );
}

const QUADRATURE = gaussHermite(16);

/**
 * Tanh-squashed Gaussian over a box (Haarnoja et al. 2018, appendix C); actions are recorded before the tanh, and
 * `policy` is the Gaussian's. The entropy of the squashed action has no closed form: E log(1 − tanh² u) is taken by
 * Gauss–Hermite quadrature with 16 nodes.
 */
function tanhGaussianHead(space: BoxSpace): Head {
  if (![...space.low, ...space.high].every(Number.isFinite)) {
    throw new SkeinError(
      "ENVIRONMENT_FAILED",
      `policy head tanhGaussian: expected an action space with finite bounds, got ${describeSpace(space)} with ` +
        `low ${space.low.join(", ")} and high ${space.high.join(", ")}; set model.distribution: gaussian`,
    );
  }
  const k = space.low.length;
  const gaussian = gaussianHead(k);
  const range = logHalfRanges(space.low, space.high);
  return {
    ...gaussian,
    distribution: (mean, parameters, masks) => {
      const { policy, logprob, entropy } = gaussian.distribution(mean, parameters, masks);
      return {
        policy,
        logprob: (actions) => tf.sub(logprob(actions), tf.add(tf.sum(logTanhSlope(actions), 1), range)),
        entropy: () => {
          const std = tf.reshape(tf.exp(parameters["actor/logStd"]!), [k, 1]);
          const nodes = tf.mul(std, tf.tensor1d(Float32Array.from(QUADRATURE.nodes)));
          const slopes = logTanhSlope(tf.add(tf.reshape(mean, [-1, k, 1]), nodes));
          const weighted = tf.mul(slopes, tf.tensor1d(Float32Array.from(QUADRATURE.weights)));
          return tf.add(entropy(), tf.add(tf.sum(weighted, [1, 2]), range));
        },
      };
    },
  };
}

/** The head for an action space. */
export function headFor({
  actionSpace,
  distribution,
}: Pick<ModelSpec, "actionSpace" | "distribution">): Head {
  switch (actionSpace.kind) {
    case "discrete":
      return categoricalHead([actionSpace.n]);
    case "multiDiscrete":
      return categoricalHead(actionSpace.sizes);
    case "box":
      return distribution === "tanhGaussian"
        ? tanhGaussianHead(actionSpace)
        : gaussianHead(actionSpace.low.length);
  }
}
