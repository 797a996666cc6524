/** Runs one TensorFlow.js function traced and compiled, and as TensorFlow.js's plain JavaScript backend computes it. */
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
// Registers TensorFlow.js's gradients.
import "@tensorflow/tfjs-layers";
import { sizeOf, type Graph } from "../../core/engine/onnx/graph.js";
import { Runtime } from "../../core/engine/onnx/runtime.js";
import { trace } from "../../core/engine/onnx/trace.js";

export interface Input {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  readonly data: readonly number[];
}

export interface Result {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly number[];
}

/** Values of booleans, too, are tensors of numbers: 0 and 1. */
export type Computation = (...x: tf.Tensor[]) => tf.Tensor | readonly tf.Tensor[];

const runtime = await Runtime.open({ provider: "cpu", threads: 1 });

/** Feeds by name; results in the order of the graph's outputs. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Input>>,
): Promise<readonly (readonly number[])[]> {
  const session = await runtime.compile(graph, "test");
  try {
    const tensors = graph.inputs.map(({ name }) => {
      const { shape, dtype, data } = feeds[name]!;
      const bound = dtype === "int32" ? runtime.int32(shape) : runtime.float32(shape);
      bound.data.set(data);
      return [name, bound.tensor] as const;
    });
    const made = await session.run(Object.fromEntries(tensors));
    return graph.outputs.map(({ name }) => Array.from(made[name]!.data as ArrayLike<number>, Number));
  } finally {
    await session.release();
  }
}

/** The graph of a computation, and shapes and types of its results. */
export function traced(
  compute: Computation,
  inputs: readonly Input[],
): { readonly graph: Graph; readonly result: readonly Omit<Result, "data">[] } {
  return trace((tracing) => {
    const made = [
      compute(...inputs.map(({ shape, dtype }, k) => tracing.input(`x${k}`, shape, dtype))),
    ].flat();
    const outputs = made.map((tensor) => tracing.valueOf(tensor));
    return { outputs, result: made.map(({ shape, dtype }) => ({ shape: [...shape], dtype })) };
  });
}

export async function runCompiled(compute: Computation, inputs: readonly Input[]): Promise<Result[]> {
  const { graph, result } = traced(compute, inputs);
  const data = await runGraph(graph, Object.fromEntries(inputs.map((input, k) => [`x${k}`, input])));
  graph.outputs.forEach((value, k) => {
    const { shape, dtype } = result[k]!;
    if (value.dtype !== dtype || sizeOf(value.shape) !== sizeOf(shape))
      throw new Error(`output ${k} is traced as ${value.dtype} [${value.shape.join()}], its tensor ${dtype}`);
  });
  return result.map((output, k) => ({ ...output, data: data[k]! }));
}

/** The same on TensorFlow.js's plain JavaScript backend, and the kernels that it took. */
export async function runPlain(
  compute: Computation,
  inputs: readonly Input[],
): Promise<{ readonly results: Result[]; readonly kernels: readonly string[] }> {
  await tf.setBackend("cpu");
  const tensors = inputs.map(({ shape, dtype, data }) => tf.tensor([...data], [...shape], dtype));
  const results: Result[] = [];
  const { kernelNames } = await tf.profile(() => {
    for (const tensor of [compute(...tensors)].flat()) {
      const data = Array.from(tensor.dataSync<"float32">(), Number);
      results.push({ shape: [...tensor.shape], dtype: tensor.dtype, data });
    }
    return [];
  });
  return { results, kernels: kernelNames };
}

/** x ↦ ∂ Σ c·y / ∂x for fixed, uneven c. */
export function gradientOf(compute: Computation): Computation {
  return (...x) => {
    const weighted = (...at: tf.Tensor[]): tf.Scalar =>
      [compute(...at)]
        .flat()
        .map((y) => {
          const weights = Array.from({ length: y.size }, (_, i) => Math.cos(1 + 2.3 * i));
          return tf.sum<tf.Scalar>(tf.mul(y, tf.tensor(weights, [...y.shape], "float32")));
        })
        .reduce((a, b) => tf.add<tf.Scalar>(a, b));
    return tf.grads(weighted)(x);
  };
}
