/** What a network is: named parameters and, from them and a batch of inputs, the columns algorithms speak of. */
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Space } from "../env/spaces.js";

export type Initializer =
  /** Orthogonal matrix times `gain` (Saxe et al. 2013; "37 implementation details of PPO", detail 2). */
  | { readonly kind: "orthogonal"; readonly gain: number }
  /** Independent normal numbers of mean 0. */
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "constant"; readonly value: number };

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
}

export interface ConvolutionLayer {
  readonly channels: number;
  /** Height and width of the kernel. */
  readonly kernel: number;
  readonly stride: number;
}

/** A network family with its sizes. */
export type Architecture =
  | { readonly kind: "mlp"; readonly hidden: readonly number[] }
  | {
      readonly kind: "cnn";
      readonly convolutions: readonly ConvolutionLayer[];
      readonly hidden: readonly number[];
    }
  | { readonly kind: "gru"; readonly hidden: readonly number[]; readonly units: number }
  | {
      readonly kind: "transformer";
      readonly layers: number;
      readonly width: number;
      readonly heads: number;
      /** Width of the layer between the two projections of each block's feed-forward part. */
      readonly feedForward: number;
      readonly norm: "rms" | "layer";
      readonly activation: "swiglu" | "gelu";
    };

/** Distribution of real-valued actions. */
export type BoxDistribution = "gaussian" | "tanhGaussian" | "mixture";

/** What determines a network's parameters; stored in every checkpoint. */
export type ModelSpec = Architecture & {
  readonly observationSpace: Space;
  readonly actionSpace: Space;
  /** For Box actions; absent = gaussian. */
  readonly distribution?: BoxDistribution;
  /** Gaussians of a mixture; absent = 5. */
  readonly components?: number;
  /** false = it estimates no values; absent = it does. */
  readonly critic?: boolean;
  /** true = it also values what an action leads to before chance has its part; absent = false. For mlp. */
  readonly postDecisionCritic?: boolean;
};

/**
 * Columns a forward pass can produce, one number a step unless said otherwise:
 * logprob of the given action (nats) · entropy of the action distribution (nats, positive) · value ·
 * policy = parameters of the action distribution [N·P] (logits, masked actions at −1e9; mean ‖ log standard
 * deviation; or of a mixture gate logits ‖ means ‖ log standard deviations) · postValue = value of the post-decision
 * observation · componentValues = value of acting with each component of a mixture [N·K] · state = the memory after the last
 * step of each sequence [B·S].
 */
export type OutputColumn =
  "logprob" | "entropy" | "value" | "policy" | "postValue" | "componentValues" | "state";

export type Parameters = Readonly<Record<string, Tensor>>;

export interface ModelInputs {
  /** [N, O] as recorded; N = B·T, sequence after sequence */
  readonly observations: Tensor2D;
  /** T */
  readonly sequenceLength: number;
  /** [N, A]; present where logprob is wanted */
  readonly actions: Tensor2D | null;
  /** [N, O] what the action leads to before chance has its part; present where postValue is wanted */
  readonly postObservations: Tensor2D | null;
  /** [N, P] 1 = the action may be chosen; null = all may */
  readonly actionMasks: Tensor2D | null;
  /** [B, S] memory before the first step of each sequence; null = zeros */
  readonly states: Tensor2D | null;
}

export interface Model {
  readonly spec: ModelSpec;
  readonly parameters: readonly ParameterSpec[];
  /** Numbers per step of the `policy` column. */
  readonly policyWidth: number;
  /** S: numbers of memory carried from step to step; 0 = no memory. */
  readonly stateWidth: number;
  /** TensorFlow.js operations only: the caller may run it eagerly, on a tape or under a tracer. */
  forward(
    parameters: Parameters,
    inputs: ModelInputs,
    want: readonly OutputColumn[],
  ): Readonly<Partial<Record<OutputColumn, Tensor>>>;
}
