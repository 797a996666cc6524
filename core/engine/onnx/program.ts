/** The two things an engine does, as graphs: forward, and an update cut where the loss is decided. */
import * as tf from "@tensorflow/tfjs-core";
import type { LiveColumn } from "../engine.js";
import type { Model, OutputColumn, Parameters } from "../../model/model.js";
import { cutGraph, type Graph, type Value } from "./graph.js";
import { trace, type Tracing } from "./trace.js";

/** What a graph is made for: every size is fixed. */
export interface InputShapes {
  /** N = B·T */
  readonly steps: number;
  readonly sequenceLength: number;
  readonly observationWidth: number;
  /** null = no actions given */
  readonly actions: { readonly width: number; readonly dtype: "float32" | "int32" } | null;
  readonly postDecision: boolean;
  readonly masked: boolean;
  readonly stateful: boolean;
}

/** Names of graph inputs; parameter k is `parameter k`, the cotangent of a column `cotangent <column>`. */
export const parameterInput = (k: number): string => `parameter ${k}`;
export const cotangentInput = (column: LiveColumn): string => `cotangent ${column}`;

/** Scalars of the optimiser step, each a graph input of this name. */
export const STEP_SCALARS = [
  "maxGradNorm",
  "beta1",
  "oneMinusBeta1",
  "beta2",
  "oneMinusBeta2",
  "stepSize",
  "rootCorrection",
  "epsilon",
] as const;
export type StepScalar = (typeof STEP_SCALARS)[number];

export interface ForwardProgram {
  readonly graph: Graph;
  readonly columns: Readonly<Record<string, Value>>;
}

export interface UpdateProgram {
  /** Inputs and parameters → live columns and `carried`. */
  readonly first: Graph;
  /** Cotangents, `carried`, weights, moments and the step's scalars → `outputs`. */
  readonly second: Graph;
  readonly carried: readonly Value[];
  readonly live: Readonly<Record<string, Value>>;
  readonly outputs: {
    readonly weights: Value;
    readonly m: Value;
    readonly v: Value;
    readonly gradNorm: Value;
  };
}

interface TracedModel {
  readonly parameters: readonly tf.Tensor[];
  forward(want: readonly OutputColumn[]): Readonly<Partial<Record<OutputColumn, tf.Tensor>>>;
}

function openModel(tracing: Tracing, model: Model, shapes: InputShapes): TracedModel {
  const { steps, sequenceLength, observationWidth, actions, postDecision, masked, stateful } = shapes;
  const matrix = (
    name: string,
    rows: number,
    width: number,
    dtype: "float32" | "int32" = "float32",
  ): tf.Tensor2D => tracing.input(name, [rows, width], dtype) as tf.Tensor2D;
  const parameters = model.parameters.map(({ shape }, k) =>
    tracing.input(parameterInput(k), shape, "float32"),
  );
  const named: Parameters = Object.fromEntries(model.parameters.map(({ name }, k) => [name, parameters[k]!]));
  const inputs = {
    sequenceLength,
    observations: matrix("observations", steps, observationWidth),
    actions: actions === null ? null : matrix("actions", steps, actions.width, actions.dtype),
    postObservations: postDecision ? matrix("postObservations", steps, observationWidth) : null,
    actionMasks: masked ? matrix("actionMasks", steps, model.policyWidth) : null,
    states: stateful ? matrix("states", steps / sequenceLength, model.stateWidth) : null,
  };
  return { parameters, forward: (want) => model.forward(named, inputs, want) };
}

/** A value that is made by a node, as the outputs of a graph must be. */
function output(tracing: Tracing, tensor: tf.Tensor | undefined, column: string): Value {
  if (tensor === undefined) throw new Error(`it has no output column "${column}"`);
  return tracing.valueOf(tensor);
}

export function forwardProgram(
  model: Model,
  shapes: InputShapes,
  want: readonly OutputColumn[],
): ForwardProgram {
  const { graph, result } = trace((tracing) => {
    const columns = openModel(tracing, model, shapes).forward(want);
    const named = Object.fromEntries(
      want.map((column) => [column, output(tracing, columns[column], column)]),
    );
    return { outputs: Object.values(named), result: named };
  });
  return { graph, columns: result };
}

export function updateProgram(model: Model, shapes: InputShapes, want: readonly LiveColumn[]): UpdateProgram {
  const { graph, result } = trace((tracing) => {
    const traced = openModel(tracing, model, shapes);
    const live: Record<string, Value> = {};
    // The gradient of Σ cotangent·column, cotangents constant, is the pull-back of the cotangents.
    const weightedSum = (): tf.Scalar => {
      const columns = traced.forward(want);
      const products = want.map((column) => {
        live[column] = output(tracing, columns[column], column);
        const made = columns[column]!;
        const cotangent = tracing.input(cotangentInput(column), made.shape, "float32");
        return tf.sum<tf.Scalar>(tf.mul(made, cotangent));
      });
      return products.reduce((a, b) => tf.add<tf.Scalar>(a, b));
    };
    const parameterMayBeUnused = true;
    const { grads } = tf
      .engine()
      .gradients(weightedSum, [...traced.parameters], undefined, parameterMayBeUnused);
    const gradient = tf.concat1d(
      traced.parameters.map((parameter, k) => {
        const gradient = grads[k];
        return tf.reshape<tf.Rank.R1>(gradient ?? tf.zerosLike(parameter), [-1]);
      }),
    );
    const stepped = adam(tracing, gradient);
    const outputs = {
      weights: tracing.valueOf(stepped.weights),
      m: tracing.valueOf(stepped.m),
      v: tracing.valueOf(stepped.v),
      gradNorm: tracing.valueOf(stepped.gradNorm),
    };
    return { outputs: [...Object.values(live), ...Object.values(outputs)], result: { live, outputs } };
  });
  return { ...cutGraph(graph, Object.values(result.live)), ...result };
}

/**
 * Clip by global norm and one step of Adam on flat arrays [P], as adam.ts does it in JavaScript. Corrections that do
 * not depend on the gradient (1 − β, bias) come as inputs, computed in float64.
 */
function adam(
  tracing: Tracing,
  gradient: tf.Tensor1D,
): {
  readonly weights: tf.Tensor;
  readonly m: tf.Tensor;
  readonly v: tf.Tensor;
  readonly gradNorm: tf.Tensor;
} {
  const flat = (name: string): tf.Tensor => tracing.input(name, gradient.shape, "float32");
  const scalar = Object.fromEntries(
    STEP_SCALARS.map((name) => [name, tracing.input(name, [], "float32")]),
  ) as Record<StepScalar, tf.Tensor>;
  const gradNorm = tf.sqrt(tf.sum(tf.square(gradient)));
  const scale = tf.minimum(1, tf.div(scalar.maxGradNorm, tf.add(gradNorm, 1e-6)));
  const clipped = tf.mul(gradient, scale);
  const m = tf.add(tf.mul(flat("m"), scalar.beta1), tf.mul(clipped, scalar.oneMinusBeta1));
  const v = tf.add(tf.mul(flat("v"), scalar.beta2), tf.mul(tf.square(clipped), scalar.oneMinusBeta2));
  const root = tf.add(tf.mul(tf.sqrt(v), scalar.rootCorrection), scalar.epsilon);
  const weights = tf.sub(flat("weights"), tf.div(tf.mul(m, scalar.stepSize), root));
  return { weights, m, v, gradNorm };
}
