/**
 * THE engine seam: a network that runs forward and takes optimiser steps. Losses live above it; gradients enter
 * as cotangents of the live columns, so an engine never differentiates a loss.
 */
import type { OutputColumn } from "../model/model.js";
import type { NamedTensor, WeightsSnapshot } from "../types.js";

export interface EngineInputs {
  /** N = B·T: B sequences of T steps, sequence after sequence, padding included. */
  readonly steps: number;
  /** T; absent = 1, for networks without memory. */
  readonly sequenceLength?: number;
  /** [N·O] */
  readonly observations: Float32Array;
  /** [N·A]; needed where logprob is wanted */
  readonly actions: Int32Array | Float32Array | null;
  /** [N·O] what the action leads to before chance has its part; needed where postValue is wanted */
  readonly postObservations?: Float32Array | null;
  /** [N·P] 1 = the action may be chosen, for discrete actions; absent or null = all may. */
  readonly actionMasks?: Uint8Array | null;
  /** [B·S] the network's memory before the first step of each sequence; absent or null = zeros. */
  readonly states?: Float32Array | null;
}

/** Columns that carry gradients. */
export type LiveColumn = Exclude<OutputColumn, "state">;

export type Columns<K extends OutputColumn = OutputColumn> = Readonly<Partial<Record<K, Float32Array>>>;

/** ∂loss/∂column for each live column that the loss reads; [N] each, of `policy` [N·P], of `componentValues` [N·K]. */
export type Cotangents = Readonly<Partial<Record<LiveColumn, Float64Array>>>;

export interface OptimizerStep {
  readonly learningRate: number;
  /** Gradients are scaled down to this global L2 norm; Infinity = never. */
  readonly maxGradNorm: number;
  /** Adam's ε, outside the root. */
  readonly epsilon: number;
  readonly beta1: number;
  readonly beta2: number;
}

export interface UpdateStats {
  /** Global L2 norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** false = the gradient was not finite: nothing was changed. */
  readonly applied: boolean;
}

/** First and second moments by parameter name, and the number of steps taken. */
export interface OptimizerState {
  readonly steps: number;
  readonly tensors: readonly NamedTensor[];
}

export interface Engine {
  /** `tfjs:wasm`, `tfjs:tensorflow` */
  readonly id: string;
  forward<K extends OutputColumn>(inputs: EngineInputs, want: readonly K[]): Promise<Record<K, Float32Array>>;
  /**
   * One optimiser step: forward, `cotangents(live)`, backward, clip by global norm, Adam. `cotangents` is called
   * once with the live columns of the present weights.
   */
  update(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<UpdateStats>;
  /** ∂loss/∂weights at the present weights, [P] in the order of `weights()`, as `update` would take it; changes nothing. */
  gradient(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
  ): Promise<Float32Array>;
  /** A copy of the present weights, labelled `version`. */
  weights(version: number): WeightsSnapshot;
  /** Throws CHECKPOINT_MISMATCH where a tensor is missing, unknown or of another shape. */
  load(weights: WeightsSnapshot): void;
  optimizerState(): OptimizerState;
  loadOptimizerState(state: OptimizerState): void;
  /** Frees everything the engine holds. */
  close(): void;
}
