/** Draws actions from the `policy` column of a network and says how probable they were. */
import { categoricalLogprob, sampleCategorical, argmax } from "../algo/categorical.js";
import { gaussianLogprob, sampleGaussian } from "../algo/gaussian.js";
import type { ActionArray } from "../env/environment.js";
import type { Space } from "../env/spaces.js";
import { widthOf } from "../env/spaces.js";
import { SkeinError } from "../errors.js";
import type { Random } from "../random.js";

export interface PolicySampler {
  /** Actions of the last call, [count · A]. */
  readonly actions: ActionArray;
  /** Their log-probabilities, nats, [count]. */
  readonly logprobs: Float32Array;
  /** policy [count · P] → `actions` and `logprobs`. */
  sample(policy: Float32Array, random: Random): void;
  /** policy [count · P] → the most probable actions in `actions`. */
  greedy(policy: Float32Array): void;
}

function categoricalSampler(n: number, count: number): PolicySampler {
  const actions = new Int32Array(count);
  const logprobs = new Float32Array(count);
  return {
    actions,
    logprobs,
    sample(policy, random) {
      for (let i = 0; i < count; i++) {
        const action = sampleCategorical(policy, i * n, n, random.uniform());
        actions[i] = action;
        logprobs[i] = categoricalLogprob(policy, i * n, n, action);
      }
    },
    greedy(policy) {
      for (let i = 0; i < count; i++) actions[i] = argmax(policy, i * n, n);
    },
  };
}

function gaussianSampler(width: number, count: number): PolicySampler {
  const actions = new Float32Array(count * width);
  const logprobs = new Float32Array(count);
  const normals = new Float64Array(width);
  return {
    actions,
    logprobs,
    sample(policy, random) {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < width; k++) normals[k] = random.normal();
        const [mean, logStd, at] = [2 * i * width, 2 * i * width + width, i * width];
        sampleGaussian(policy, mean, policy, logStd, normals, 0, width, actions, at);
        logprobs[i] = gaussianLogprob(policy, mean, policy, logStd, actions, at, width);
      }
    },
    greedy(policy) {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < width; k++) actions[i * width + k] = policy[2 * i * width + k]!;
      }
    },
  };
}

/** A sampler for `count` instances of an environment with that action space. */
export function createPolicySampler(space: Space, count: number): PolicySampler {
  switch (space.kind) {
    case "discrete":
      return categoricalSampler(space.n, count);
    case "box":
      return gaussianSampler(widthOf(space), count);
    case "multiDiscrete":
      throw new SkeinError(
        "ENVIRONMENT_FAILED",
        "policy: expected an action space Discrete or Box, got MultiDiscrete",
      );
  }
}
