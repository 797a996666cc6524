/** What a network is: named parameters and, from them and a batch of inputs, the columns algorithms speak of. */
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { Space } from "../env/spaces.js";

export type Initializer =
  /** Orthogonal matrix times `gain` (Saxe et al. 2013; "37 implementation details of PPO", detail 2). */
  | { readonly kind: "orthogonal"; readonly gain: number }
  | { readonly kind: "constant"; readonly value: number };

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
}

/** What determines a network's parameters; stored in every checkpoint. */
export interface ModelSpec {
  readonly kind: "mlp";
  readonly hidden: readonly number[];
  readonly observationSpace: Space;
  readonly actionSpace: Space;
}

/**
 * Columns a forward pass can produce, one number a step unless said otherwise:
 * logprob of the given action (nats) · entropy of the action distribution (nats, positive) · value ·
 * policy = parameters of the action distribution [N·P] (logits; or mean ‖ log standard deviation).
 */
export type OutputColumn = "logprob" | "entropy" | "value" | "policy";

export type Parameters = Readonly<Record<string, Tensor>>;

export interface ModelInputs {
  /** [N, O] as recorded */
  readonly observations: Tensor2D;
  /** [N, A]; present where logprob is wanted */
  readonly actions: Tensor2D | null;
}

export interface Model {
  readonly spec: ModelSpec;
  readonly parameters: readonly ParameterSpec[];
  /** Numbers per step of the `policy` column. */
  readonly policyWidth: number;
  /** TensorFlow.js operations only: the caller may run it eagerly, on a tape or under a tracer. */
  forward(
    parameters: Parameters,
    inputs: ModelInputs,
    want: readonly OutputColumn[],
  ): Readonly<Partial<Record<OutputColumn, Tensor>>>;
}
