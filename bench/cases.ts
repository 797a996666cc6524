/** What is measured: networks, sizes and tasks, the same for Skein and for PyTorch. */
import { box, discrete } from "../core/env/spaces.js";
import type { ModelSpec } from "../core/model/model.js";

/**
 * update = one PPO minibatch update: normalised advantages, forward, loss, backward, global-norm clip, Adam.
 * logprob = forward to the log-probability of given actions. policy = forward to the logits, as an actor needs them.
 * policyFromNumpy = the same, where PyTorch's observations come from NumPy and its logits go back to it.
 */
export type Task = "update" | "logprob" | "policy" | "policyFromNumpy";

export interface Case {
  /** Names the row of the report; stable, so that reports can be compared. */
  readonly name: string;
  readonly task: Task;
  readonly model: ModelSpec;
  /** B; steps N = B·sequenceLength */
  readonly sequences: number;
  readonly sequenceLength: number;
  /** Measured with `--quick` too. */
  readonly quick: boolean;
}

/** CartPole's sizes; separate actor and critic, tanh. */
export const MLP: ModelSpec = {
  kind: "mlp",
  hidden: [64, 64],
  observationSpace: box([4], -10, 10),
  actionSpace: discrete(2),
};

/** Sizes of a MinAtar board. */
const CNN: ModelSpec = {
  kind: "cnn",
  convolutions: [{ channels: 16, kernel: 3, stride: 1 }],
  hidden: [128],
  observationSpace: box([10, 10, 4], 0, 1),
  actionSpace: discrete(6),
};

const TRANSFORMER: ModelSpec = {
  kind: "transformer",
  layers: 4,
  width: 128,
  heads: 4,
  feedForward: 512,
  norm: "layer",
  activation: "gelu",
  observationSpace: discrete(256),
  actionSpace: discrete(256),
};

const TRANSFORMER_STEPS = 128;

const count = (n: number): string => n.toLocaleString("en-US");

function rows(network: string, model: ModelSpec, sizes: readonly number[]): Case[] {
  return sizes.map((size, k) => ({
    name: `${network} update ${count(size)} rows`,
    task: "update",
    model,
    sequences: size,
    sequenceLength: 1,
    quick: k === 0,
  }));
}

function sequences(label: string, task: Task): Case[] {
  return [8, 32].map((size, k) => ({
    name: `transformer ${label} ${size} rows of ${TRANSFORMER_STEPS}`,
    task,
    model: TRANSFORMER,
    sequences: size,
    sequenceLength: TRANSFORMER_STEPS,
    quick: k === 0,
  }));
}

function actor(label: string, task: Task): Case[] {
  return [1, 8, 64, 512].map((size) => ({
    name: `mlp actor forward ${size} ${size === 1 ? "row" : "rows"}${label}`,
    task,
    model: MLP,
    sequences: size,
    sequenceLength: 1,
    quick: size === 8,
  }));
}

export const cases: readonly Case[] = [
  ...rows("mlp", MLP, [256, 2048, 8192]),
  ...rows("cnn", CNN, [256, 2048]),
  ...sequences("update", "update"),
  ...sequences("forward", "logprob"),
  ...actor("", "policy"),
  ...actor(", NumPy to NumPy", "policyFromNumpy"),
];
