/**
 * Engine on eager TensorFlow.js. Weights and moments are kept in flat arrays here; tensors are copies of them on
 * the backend. Every tensor made during a call is disposed of before it returns.
 */
import * as tf from "@tensorflow/tfjs-core";
import { SkeinError } from "../errors.js";
import type { Model, ModelInputs, OutputColumn } from "../model/model.js";
import type { WeightsSnapshot } from "../types.js";
import { adamState, adamStep, globalNorm, type AdamState } from "./adam.js";
import type {
  Columns,
  Cotangents,
  Engine,
  EngineInputs,
  LiveColumn,
  OptimizerState,
  OptimizerStep,
  UpdateStats,
} from "./engine.js";
import { FlatParameters } from "./flat-parameters.js";

export class TfjsEngine implements Engine {
  private readonly layout: FlatParameters;
  private readonly flat: Float32Array;
  private readonly gradients: Float32Array;
  private adam: AdamState;
  private tensors: tf.Tensor[] = [];

  /** The backend must be set and ready. */
  constructor(
    readonly id: string,
    private readonly model: Model,
  ) {
    this.layout = new FlatParameters(model.parameters);
    this.flat = new Float32Array(this.layout.size);
    this.gradients = new Float32Array(this.layout.size);
    this.adam = adamState(this.layout.size);
    this.upload();
  }

  async forward<K extends OutputColumn>(
    inputs: EngineInputs,
    want: readonly K[],
  ): Promise<Record<K, Float32Array>> {
    const result: Partial<Record<K, Float32Array>> = {};
    tf.tidy(() => {
      const outputs = this.model.forward(this.named(this.tensors), this.modelInputs(inputs), want);
      for (const column of want) result[column] = read(outputs[column], column);
    });
    return Promise.resolve(result as Record<K, Float32Array>);
  }

  async update(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<UpdateStats> {
    this.pullBack(inputs, want, cotangents);
    const gradNorm = globalNorm(this.gradients);
    const applied = Number.isFinite(gradNorm);
    if (applied) {
      adamStep(this.flat, this.gradients, gradNorm, this.adam, step);
      this.upload();
    }
    return Promise.resolve({ gradNorm, applied });
  }

  async gradient(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
  ): Promise<Float32Array> {
    this.pullBack(inputs, want, cotangents);
    return Promise.resolve(this.gradients.slice());
  }

  weights(version: number): WeightsSnapshot {
    return { version, tensors: this.layout.tensors(this.flat) };
  }

  load(weights: WeightsSnapshot): void {
    this.layout.fill(this.flat, weights.tensors, `weights of version ${weights.version}`);
    this.upload();
  }

  optimizerState(): OptimizerState {
    return this.layout.optimizerState(this.adam.steps, this.adam.m, this.adam.v);
  }

  loadOptimizerState(state: OptimizerState): void {
    const adam = adamState(this.layout.size);
    this.layout.fillMoments(adam.m, adam.v, state);
    adam.steps = state.steps;
    this.adam = adam;
  }

  close(): void {
    tf.dispose(this.tensors);
    this.tensors = [];
  }

  /** Into `gradients`. */
  private pullBack(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
  ): void {
    tf.tidy(() => {
      const modelInputs = this.modelInputs(inputs);
      // The gradient of Σ cotangent·column, cotangents constant, is the pull-back of the cotangents.
      const weightedSum = (): tf.Scalar => {
        const outputs = this.model.forward(this.named(this.tensors), modelInputs, want);
        const live: Partial<Record<LiveColumn, Float32Array>> = {};
        for (const column of want) live[column] = read(outputs[column], column);
        const given = cotangents(live);
        const products = want.flatMap((column) => {
          const cotangent = given[column];
          const output = outputs[column];
          return cotangent === undefined || output === undefined
            ? []
            : [tf.sum<tf.Scalar>(tf.mul(output, tf.tensor(Float32Array.from(cotangent), output.shape)))];
        });
        return products.reduce((a, b) => tf.add<tf.Scalar>(a, b));
      };
      const parameterMayBeUnused = true;
      const { grads } = tf.engine().gradients(weightedSum, this.tensors, undefined, parameterMayBeUnused);
      this.gradients.fill(0);
      for (const [k, { at }] of this.layout.slices.entries()) {
        const gradient = grads[k];
        if (gradient !== undefined) this.gradients.set(gradient.dataSync<"float32">(), at);
      }
    });
  }

  private named(tensors: readonly tf.Tensor[]): Record<string, tf.Tensor> {
    return Object.fromEntries(this.layout.slices.map(({ name }, k) => [name, tensors[k]!]));
  }

  private modelInputs(inputs: EngineInputs): ModelInputs {
    const { steps, sequenceLength = 1, observations, actions } = inputs;
    const { postObservations = null, actionMasks = null, states = null } = inputs;
    const rows = (array: Float32Array | Int32Array, count: number): tf.Tensor2D =>
      tf.tensor2d(array, [count, array.length / count]);
    return {
      sequenceLength,
      observations: rows(observations, steps),
      postObservations: postObservations === null ? null : rows(postObservations, steps),
      actions: actions === null ? null : rows(actions, steps),
      actionMasks: actionMasks === null ? null : rows(Float32Array.from(actionMasks), steps),
      states: states === null ? null : rows(states, steps / sequenceLength),
    };
  }

  /** Replaces the backend's copies. `slice`, because a backend may keep the array it is given. */
  private upload(): void {
    tf.dispose(this.tensors);
    this.tensors = this.layout.slices.map(({ shape, at, size }) =>
      tf.tensor(this.flat.slice(at, at + size), [...shape], "float32"),
    );
  }
}

function read(output: tf.Tensor | undefined, column: string): Float32Array {
  if (output === undefined) throw new SkeinError("INTERNAL", `model: no output column "${column}"`);
  return output.dataSync<"float32">();
}
