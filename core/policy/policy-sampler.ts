/** Draws actions from the `policy` column of a network and says how probable they were. */
import { categoricalLogprob, sampleCategorical, argmax } from "../algo/categorical.js";
import { gaussianLogprob, sampleGaussian } from "../algo/gaussian.js";
import { componentsOf, mixtureLogprob } from "../algo/mixture.js";
import { logHalfRanges, squash, squashCorrection } from "../algo/tanh-gaussian.js";
import type { ActionArray } from "../env/environment.js";
import type { BoxSpace, Space } from "../env/spaces.js";
import type { Random } from "../random.js";
import type { BoxDistribution } from "../model/model.js";

export interface PolicySampler {
  /** Actions of the last call as they are recorded, [count · A]. */
  readonly actions: ActionArray;
  /** What the environment gets for them, [count · A]: the same array, but for squashed actions. */
  readonly environmentActions: ActionArray;
  /** Log-probabilities of `actions`, nats, [count]. */
  readonly logprobs: Float32Array;
  /** policy [count · P] → `actions` and `logprobs`, drawn instance after instance. */
  sample(policy: Float32Array, random: Random): void;
  /** The same for instance i alone. */
  sampleInstance(policy: Float32Array, i: number, random: Random): void;
  /** policy [count · P] → the most probable actions in `actions`. */
  greedy(policy: Float32Array): void;
}

/** `sample` in terms of `sampleInstance`. */
function inTurn(
  count: number,
  sampleInstance: PolicySampler["sampleInstance"],
): Pick<PolicySampler, "sample" | "sampleInstance"> {
  return {
    sampleInstance,
    sample(policy, random) {
      for (let i = 0; i < count; i++) sampleInstance(policy, i, random);
    },
  };
}

/** Independent categoricals side by side: logits [count · Σ sizes], actions [count · sizes.length]. */
function categoricalSampler(sizes: readonly number[], count: number): PolicySampler {
  const actions = new Int32Array(count * sizes.length);
  const logprobs = new Float32Array(count);
  const choices = sizes.reduce((sum, n) => sum + n, 0);
  return {
    actions,
    environmentActions: actions,
    logprobs,
    ...inTurn(count, (policy, i, random) => {
      let at = i * choices;
      let logprob = 0;
      for (let k = 0; k < sizes.length; k++) {
        const n = sizes[k]!;
        const action = sampleCategorical(policy, at, n, random.uniform());
        actions[i * sizes.length + k] = action;
        logprob += categoricalLogprob(policy, at, n, action);
        at += n;
      }
      logprobs[i] = logprob;
    }),
    greedy(policy) {
      let at = 0;
      for (let i = 0; i < actions.length; i++) {
        const n = sizes[i % sizes.length]!;
        actions[i] = argmax(policy, at, n);
        at += n;
      }
    },
  };
}

function gaussianSampler(width: number, count: number): PolicySampler {
  const actions = new Float32Array(count * width);
  const logprobs = new Float32Array(count);
  const normals = new Float64Array(width);
  return {
    actions,
    environmentActions: actions,
    logprobs,
    ...inTurn(count, (policy, i, random) => {
      for (let k = 0; k < width; k++) normals[k] = random.normal();
      const [mean, logStd, at] = [2 * i * width, 2 * i * width + width, i * width];
      sampleGaussian(policy, mean, policy, logStd, normals, 0, width, actions, at);
      logprobs[i] = gaussianLogprob(policy, mean, policy, logStd, actions, at, width);
    }),
    greedy(policy) {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < width; k++) actions[i * width + k] = policy[2 * i * width + k]!;
      }
    },
  };
}

/** Records the Gaussian's draws; the environment gets them squashed into its bounds. */
function tanhGaussianSampler({ low, high }: BoxSpace, count: number): PolicySampler {
  const width = low.length;
  const gaussian = gaussianSampler(width, count);
  const { actions, logprobs } = gaussian as PolicySampler & { readonly actions: Float32Array };
  const environmentActions = new Float32Array(actions.length);
  const logHalfRange = logHalfRanges(low, high);
  const squashInstance = (i: number): void => {
    for (let k = 0; k < width; k++) {
      environmentActions[i * width + k] = squash(actions[i * width + k]!, low[k]!, high[k]!);
    }
  };
  return {
    actions,
    environmentActions,
    logprobs,
    ...inTurn(count, (policy, i, random) => {
      gaussian.sampleInstance(policy, i, random);
      logprobs[i]! -= squashCorrection(actions, i * width, width, logHalfRange);
      squashInstance(i);
    }),
    greedy(policy) {
      gaussian.greedy(policy);
      for (let i = 0; i < count; i++) squashInstance(i);
    },
  };
}

/** A component by its gate, then its Gaussian; greedy = the mean of the component with the largest gate. */
function mixtureSampler(actionWidth: number, count: number): PolicySampler {
  const actions = new Float32Array(count * actionWidth);
  const logprobs = new Float32Array(count);
  const normals = new Float64Array(actionWidth);
  let joint = new Float64Array(0);
  /** Where step i of a policy column begins, and how many components it has. */
  const place = (policy: Float32Array, i: number) => {
    const width = policy.length / count;
    return { policyOffset: i * width, components: componentsOf(width, actionWidth) };
  };
  return {
    actions,
    environmentActions: actions,
    logprobs,
    ...inTurn(count, (policy, i, random) => {
      const { policyOffset, components } = place(policy, i);
      const component = sampleCategorical(policy, policyOffset, components, random.uniform());
      for (let k = 0; k < actionWidth; k++) normals[k] = random.normal();
      const mean = policyOffset + components + component * actionWidth;
      const [logStd, actionOffset] = [mean + components * actionWidth, i * actionWidth];
      sampleGaussian(policy, mean, policy, logStd, normals, 0, actionWidth, actions, actionOffset);
      if (joint.length !== components) joint = new Float64Array(components);
      const step = { policy, policyOffset, components, actions, actionOffset, actionWidth };
      logprobs[i] = mixtureLogprob(step, joint);
    }),
    greedy(policy) {
      for (let i = 0; i < count; i++) {
        const { policyOffset, components } = place(policy, i);
        const mean = policyOffset + components + argmax(policy, policyOffset, components) * actionWidth;
        actions.set(policy.subarray(mean, mean + actionWidth), i * actionWidth);
      }
    },
  };
}

/** A sampler for `count` instances of an environment with that action space; `distribution` is the model's. */
export function createPolicySampler(
  space: Space,
  count: number,
  distribution: BoxDistribution = "gaussian",
): PolicySampler {
  switch (space.kind) {
    case "discrete":
      return categoricalSampler([space.n], count);
    case "multiDiscrete":
      return categoricalSampler(space.sizes, count);
    case "box":
      if (distribution === "tanhGaussian") return tanhGaussianSampler(space, count);
      return distribution === "mixture"
        ? mixtureSampler(space.low.length, count)
        : gaussianSampler(space.low.length, count);
  }
}
