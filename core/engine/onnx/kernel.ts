/** What a kernel of the tracing backend gets and gives: it adds nodes to a graph where others would compute. */
import type { DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { sameShape, type ElementType, type GraphBuilder, type Value } from "./graph.js";

/**
 * A tensor while it is traced: its shape, and a value whose shape broadcasts to it. Broadcasting is put off until an
 * operation needs the whole, so a tensor filled with one number costs nothing.
 */
export interface Traced {
  readonly value: Value;
  readonly shape: readonly number[];
}

export interface KernelCall {
  readonly graph: GraphBuilder;
  readonly inputs: Readonly<Record<string, Traced>>;
  readonly attrs: Readonly<Record<string, unknown>>;
}

/** TensorFlow.js's kernels by name; each gives one tensor or several. */
export type Kernels = Readonly<Record<string, (call: KernelCall) => Traced | readonly Traced[]>>;

/** The value in the tensor's whole shape. */
export function whole(graph: GraphBuilder, { value, shape }: Traced): Value {
  if (sameShape(value.shape, shape)) return value;
  const size = value.shape.reduce((a, b) => a * b, 1);
  if (size === shape.reduce((a, b) => a * b, 1)) return reshape(graph, value, shape);
  return graph.node("Expand", [value, graph.integers(shape)], shape, value.dtype);
}

export function traced(value: Value): Traced {
  return { value, shape: value.shape };
}

export function reshape(graph: GraphBuilder, value: Value, shape: readonly number[]): Value {
  if (sameShape(value.shape, shape)) return value;
  const producer = graph.producer(value);
  const source = producer?.op === "Reshape" ? producer.inputs[0]! : value;
  if (sameShape(source.shape, shape)) return source;
  return graph.node("Reshape", [source, graph.integers(shape)], shape, value.dtype);
}

export function cast(graph: GraphBuilder, value: Value, dtype: ElementType): Value {
  if (value.dtype === dtype) return value;
  const producer = graph.producer(value);
  const source =
    producer?.op === "Cast" && producer.inputs[0]!.dtype === "bool" ? producer.inputs[0]! : value;
  return graph.node("Cast", [source], value.shape, dtype, { to: ONNX_TYPE[dtype] });
}

const ONNX_TYPE: Readonly<Record<ElementType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

export function elementTypeOf(dtype: DataType): ElementType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new Error(`tensors of type ${dtype} cannot be traced`);
}

/** A number as `dtype`. */
export function scalarOf(graph: GraphBuilder, x: number, dtype: ElementType): Value {
  if (dtype === "float32" || dtype === "int32") return graph.scalar(x, dtype);
  return cast(graph, graph.scalar(x), dtype);
}

/** An axis counted from the front. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Attributes come from TensorFlow.js as its operations set them; their types are those of its kernels. */
export function attribute<T>(call: KernelCall, name: string): T {
  return call.attrs[name] as T;
}

export type { TensorInfo };
