/** A small network with memory, and what it computes in slow float64 loops that share no code with it. */
import * as tf from "@tensorflow/tfjs-core";
import { box, discrete } from "../../core/env/spaces.js";
import type { Model } from "../../core/model/model.js";
import type { WeightsSnapshot } from "../../core/types.js";

/** O, S and the number of actions */
export const [SEEN, KEPT, CHOICES] = [2, 2, 3];

const SHAPES = { decay: [KEPT], input: [SEEN, KEPT], actor: [KEPT, CHOICES], critic: [KEPT, 1] } as const;

/** h' = decay ⊙ h + x·input; logits = h'·actor, masked; value = h'·critic. */
export const accumulator: Model = {
  spec: {
    ...({ kind: "gru", hidden: [], units: KEPT } as const),
    observationSpace: box([SEEN], -1, 1),
    actionSpace: discrete(CHOICES),
  },
  parameters: Object.entries(SHAPES).map(([name, shape]) => ({
    ...{ name, shape, init: { kind: "normal", std: 1 } },
  })),
  policyWidth: CHOICES,
  stateWidth: KEPT,
  forward(p, { observations, sequenceLength, actions, actionMasks, states }) {
    const batch = observations.shape[0] / sequenceLength;
    const added = tf.reshape(tf.matMul(observations, p["input"] as tf.Tensor2D), [
      batch,
      sequenceLength,
      KEPT,
    ]);
    let state: tf.Tensor = states ?? tf.zeros([batch, KEPT]);
    const kept: tf.Tensor[] = [];
    for (let t = 0; t < sequenceLength; t++) {
      const now = tf.reshape(tf.slice(added, [0, t, 0], [batch, 1, KEPT]), [batch, KEPT]);
      state = tf.add(tf.mul(state, p["decay"]!), now);
      kept.push(tf.reshape(state, [batch, 1, KEPT]));
    }
    const all = tf.reshape<tf.Rank.R2>(tf.concat(kept, 1), [batch * sequenceLength, KEPT]);
    const logits = tf.matMul(all, p["actor"] as tf.Tensor2D);
    const policy = actionMasks === null ? logits : tf.add(logits, tf.mul(tf.sub(actionMasks, 1), 1e9));
    const shifted = tf.sub(policy, tf.max(policy, 1, true));
    const logprobs = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
    return {
      policy,
      state,
      value: tf.reshape(tf.matMul(all, p["critic"] as tf.Tensor2D), [batch * sequenceLength]),
      entropy: tf.neg(tf.sum(tf.mul(tf.exp(logprobs), logprobs), 1)),
      ...(actions === null
        ? {}
        : {
            logprob: tf.sum(
              tf.mul(logprobs, tf.oneHot(tf.cast(tf.reshape(actions, [-1]), "int32"), CHOICES)),
              1,
            ),
          }),
    };
  },
};

export type Numbers = Readonly<Record<keyof typeof SHAPES, readonly number[]>>;

export const NUMBERS: Numbers = {
  decay: [0.9, -0.4],
  input: [0.7, -0.3, 0.2, 0.8],
  actor: [0.5, -0.8, 0.3, 0.9, 0.1, -0.6],
  critic: [1.2, -0.7],
};

export function snapshotOf(numbers: Numbers): WeightsSnapshot {
  return {
    version: 0,
    tensors: Object.entries(SHAPES).map(([name, shape]) => ({
      ...{ name, dtype: "float32", shape, data: Float32Array.from(numbers[name as keyof Numbers]) },
    })),
  };
}

/** The memory after seeing `seen`. */
export function remember(
  { decay, input }: Numbers,
  memory: readonly number[],
  seen: readonly number[],
): number[] {
  return memory.map((h, k) => decay[k]! * h + seen.reduce((sum, x, j) => sum + x * input[j * KEPT + k]!, 0));
}

export function valueOf({ critic }: Numbers, memory: readonly number[]): number {
  return memory.reduce((sum, h, k) => sum + h * critic[k]!, 0);
}

/** log p of each action, −Infinity where the mask forbids it. */
export function logprobsOf(
  { actor }: Numbers,
  memory: readonly number[],
  mask?: readonly number[],
): number[] {
  const logits = Array.from({ length: CHOICES }, (_, a) =>
    mask?.[a] === 0 ? -Infinity : memory.reduce((sum, h, k) => sum + h * actor[k * CHOICES + a]!, 0),
  );
  const total = Math.log(logits.reduce((sum, l) => sum + Math.exp(l), 0));
  return logits.map((l) => l - total);
}
