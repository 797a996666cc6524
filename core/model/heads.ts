/** Action distributions on top of a network: from its output to log-probability and entropy (nats). */
import * as tf from "@tensorflow/tfjs-core";
import { gaussHermite } from "../algo/gauss-hermite.js";
import { logHalfRanges } from "../algo/tanh-gaussian.js";
import { describeSpace, type BoxSpace } from "../env/spaces.js";
import { SkeinError } from "../errors.js";
import type { ModelSpec, Parameters, ParameterSpec } from "./model.js";
import { withGradient } from "./ops.js";

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
  /** K of a mixture; 0 = it is none. */
  readonly components: number;
  /** Parameters of its own. */
  readonly parameters: readonly ParameterSpec[];
  /** output [N, outputWidth]; masks [N, P], 1 = allowed, for integer actions; null = all are. */
  distribution(output: tf.Tensor2D, parameters: Parameters, masks: tf.Tensor2D | null): Distribution;
}

const FORBIDDEN = 1e9;

/** Applies f to the rows of each part by itself; results below one another. */
function byParts(
  sizes: readonly number[],
  x: tf.Tensor2D,
  f: (part: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor2D {
  if (sizes.length === 1) return f(x);
  return tf.concat(
    tf.split(x, [...sizes], 0).map((part) => f(part as tf.Tensor2D)),
    0,
  );
}

/** Over the rows of each column. */
function logSoftmax(logits: tf.Tensor2D): tf.Tensor2D {
  const shifted = tf.sub(logits, tf.max(logits, 0, true));
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 0, true)));
}

/** Actions [N, K] → [Σ sizes, N], 1 where the action was taken. */
function taken(actions: tf.Tensor2D, sizes: readonly number[]): tf.Tensor2D {
  const rows = tf.split(tf.transpose(actions), sizes.length, 0);
  const hits = sizes.map((size, k) => {
    const classes = tf.tensor2d(
      Array.from({ length: size }, (_, action) => action),
      [size, 1],
      actions.dtype,
    );
    return tf.equal(classes, rows[k]!);
  });
  return tf.cast(tf.concat(hits, 0), "float32") as tf.Tensor2D;
}

/**
 * Independent categoricals side by side; `policy` = their logits [N, Σ sizes], masked ones at −1e9. The arithmetic
 * has actions as rows and steps as columns, [Σ sizes, N]: with few actions, sums and broadcasts then run along
 * memory.
 */
function categoricalHead(sizes: readonly number[]): Head {
  const width = sizes.reduce((a, b) => a + b, 0);
  return {
    outputWidth: width,
    policyWidth: width,
    components: 0,
    parameters: [],
    distribution: (output, _, masks) => {
      const logits =
        masks === null ? output : tf.add<tf.Tensor2D>(output, tf.mul(tf.sub(masks, 1), FORBIDDEN));
      let shared: { readonly rows: tf.Tensor2D; readonly logs: tf.Tensor2D } | null = null;
      // The columns' gradients with respect to the logits are written out, so none passes through `logs`.
      const logprobs = (): NonNullable<typeof shared> => {
        if (shared !== null) return shared;
        const rows = tf.transpose(logits);
        return (shared = { rows, logs: byParts(sizes, rows, logSoftmax) });
      };
      return {
        policy: () => logits,
        logprob: (actions) => {
          const { rows, logs } = logprobs();
          const chosen = taken(actions, sizes);
          return withGradient<tf.Tensor1D>(
            [rows],
            () => ({ value: tf.sum(tf.mul(logs, chosen), 0), saved: [logs, chosen] }),
            (dy, [l, c]) => [tf.mul(dy, tf.sub(c!, tf.exp(l!)))],
          );
        },
        entropy: () => {
          const { rows, logs } = logprobs();
          return withGradient<tf.Tensor1D>(
            [rows],
            () => ({ value: tf.neg(tf.sum(tf.mul(tf.exp(logs), logs), 0)), saved: [logs] }),
            (dy, saved) => {
              // ∂H/∂l = −p(log p + H), H of the logit's own part.
              const slope = byParts(sizes, saved[0] as tf.Tensor2D, (l) => {
                const p = tf.exp(l);
                return tf.mul(p, tf.sub(tf.sum(tf.mul(p, l), 0, true), l));
              });
              return [tf.mul(dy, slope)];
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
    components: 0,
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

/**
 * Mixture of `components` diagonal Gaussians over k numbers (Ren et al. 2021, PMOE): gates and means are of the state,
 * deviations the same in every state. The log-probability is the mixture's own. Its entropy has no closed form: that of
 * component and action drawn together, H(w) + Σ w·H_component, stands for it, larger by at most log components.
 */
function mixtureHead(k: number, components: number): Head {
  const wide = components * k;
  return {
    outputWidth: components + wide,
    policyWidth: components + 2 * wide,
    components,
    parameters: [{ name: "actor/logStd", shape: [wide], init: { kind: "constant", value: 0 } }],
    distribution: (output, parameters) => {
      const [gates, means] = tf.split(output, [components, wide], 1) as [tf.Tensor2D, tf.Tensor2D];
      const logStd = parameters["actor/logStd"] as tf.Tensor1D;
      const spreads = (): tf.Tensor1D => tf.sum(tf.reshape(logStd, [components, k]), 1);
      return {
        policy: () => tf.concat([gates, means, tf.add<tf.Tensor2D>(tf.zerosLike(means), logStd)], 1),
        logprob: (actions) => {
          const distance = tf.sub(tf.reshape(actions, [-1, 1, k]), tf.reshape(means, [-1, components, k]));
          const z = tf.mul(distance, tf.reshape(tf.exp(tf.neg(logStd)), [components, k]));
          const offset = tf.add(spreads(), k * HALF_LOG_TWO_PI);
          const logs = tf.sub<tf.Tensor2D>(tf.mul(tf.sum(tf.square(z), 2), -0.5), offset);
          return tf.sub(logSumExp(tf.add(gates, logs)), logSumExp(gates));
        },
        entropy: () => {
          const logs = tf.sub<tf.Tensor2D>(gates, tf.reshape(logSumExp(gates), [-1, 1]));
          const own = tf.add(spreads(), k * (0.5 + HALF_LOG_TWO_PI));
          return tf.sum(tf.mul(tf.exp(logs), tf.sub(own, logs)), 1);
        },
      };
    },
  };
}

/** log Σ e^x of each row of x [N, K] → [N]; its derivative is the softmax. */
function logSumExp(x: tf.Tensor2D): tf.Tensor1D {
  return withGradient<tf.Tensor1D>(
    [x],
    () => {
      const largest = tf.max(x, 1, true);
      const sums = tf.log(tf.sum(tf.exp(tf.sub(x, largest)), 1));
      const value = tf.add<tf.Tensor1D>(sums, tf.reshape(largest, [-1]));
      return { value, saved: [x, value] };
    },
    (dy, [saved, value]) => [
      tf.mul(tf.reshape(dy, [-1, 1]), tf.exp(tf.sub(saved!, tf.reshape(value!, [-1, 1])))),
    ],
  );
}

const COMPONENTS = 5;

/** The head for an action space. */
export function headFor({
  actionSpace,
  distribution,
  components = COMPONENTS,
}: Pick<ModelSpec, "actionSpace" | "distribution" | "components">): Head {
  switch (actionSpace.kind) {
    case "discrete":
      return categoricalHead([actionSpace.n]);
    case "multiDiscrete":
      return categoricalHead(actionSpace.sizes);
    case "box":
      if (distribution === "tanhGaussian") return tanhGaussianHead(actionSpace);
      return distribution === "mixture"
        ? mixtureHead(actionSpace.low.length, components)
        : gaussianHead(actionSpace.low.length);
  }
}
