/** Kernels that move numbers about, and those that make constants. */
import { slice_util, util } from "@tensorflow/tfjs-core";
import { sizeOf, type GraphBuilder, type Value } from "../graph.js";
import {
  attribute,
  axisOf,
  elementTypeOf,
  reshape,
  scalarOf,
  traced,
  whole,
  type KernelCall,
  type Kernels,
  type Traced,
} from "../kernel.js";

export function transpose(graph: GraphBuilder, x: Value, perm: readonly number[]): Value {
  const moved = perm.filter((k) => x.shape[k] !== 1);
  if (moved.every((k, at) => at === 0 || moved[at - 1]! < k)) {
    return reshape(
      graph,
      x,
      perm.map((k) => x.shape[k]!),
    );
  }
  const producer = graph.producer(x);
  if (producer?.op === "Transpose") {
    const before = producer.attributes["perm"] as readonly number[];
    return transpose(
      graph,
      producer.inputs[0]!,
      perm.map((k) => before[k]!),
    );
  }
  return graph.node(
    "Transpose",
    [x],
    perm.map((k) => x.shape[k]!),
    x.dtype,
    { perm },
  );
}

function slice(
  graph: GraphBuilder,
  x: Value,
  begin: readonly number[],
  end: readonly number[],
  steps: readonly number[],
): Value {
  const shape = begin.map((from, k) => Math.max(0, Math.ceil((end[k]! - from) / steps[k]!)));
  const axes = begin
    .map((_, k) => k)
    .filter((k) => begin[k] !== 0 || end[k] !== x.shape[k] || steps[k] !== 1);
  if (axes.length === 0) return x;
  const pick = (list: readonly number[]): Value => graph.integers(axes.map((k) => list[k]!));
  const stepped = axes.some((k) => steps[k] !== 1) ? [pick(steps)] : [];
  // A slice backwards to the start ends before it, at −1, which ONNX would count from the end.
  const stop = pick(end.map((at, k) => (at < 0 ? at - x.shape[k]! : at)));
  return graph.node("Slice", [x, pick(begin), stop, graph.integers(axes), ...stepped], shape, x.dtype);
}

/** Joins along an axis; a list of one is itself. */
function concat(graph: GraphBuilder, parts: readonly Value[], axis: number): Value {
  const filledParts = parts.filter(({ shape }) => shape[axis] !== 0);
  if (filledParts.length === 1) return filledParts[0]!;
  const shape = filledParts[0]!.shape.map((size, k) =>
    k === axis ? filledParts.reduce((sum, part) => sum + part.shape[k]!, 0) : size,
  );
  return graph.node("Concat", filledParts, shape, parts[0]!.dtype, { axis });
}

function split(graph: GraphBuilder, x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  if (sizes.length === 1) return [x];
  const outputs = sizes.map((size) => ({
    shape: x.shape.map((n, k) => (k === axis ? size : n)),
    dtype: x.dtype,
  }));
  return graph.nodeWithOutputs("Split", [x, graph.integers(sizes)], outputs, { axis });
}

function withoutAxis(shape: readonly number[], axis: number): number[] {
  return shape.filter((_, k) => k !== axis);
}

function reshaped(call: KernelCall, inputName: string, shape: readonly number[]): Traced {
  const input = call.inputs[inputName]!;
  // One number stays one number whatever the shape.
  if (input.value.shape.length === 0) return { value: input.value, shape };
  return traced(reshape(call.graph, whole(call.graph, input), shape));
}

export const shapes: Kernels = {
  Reshape: (call) => {
    const { shape } = call.inputs["x"]!;
    return reshaped(
      call,
      "x",
      util.inferFromImplicitShape(attribute<number[]>(call, "shape"), sizeOf(shape)),
    );
  },
  ExpandDims: (call) => {
    const { shape } = call.inputs["input"]!;
    const at = axisOf(attribute<number>(call, "dim"), shape.length + 1);
    return reshaped(call, "input", [...shape.slice(0, at), 1, ...shape.slice(at)]);
  },
  Transpose: (call) =>
    traced(transpose(call.graph, whole(call.graph, call.inputs["x"]!), attribute(call, "perm"))),
  Slice: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const [begin, size] = slice_util.parseSliceParams(
      { shape: [...x.shape] } as Parameters<typeof slice_util.parseSliceParams>[0],
      attribute<number[]>(call, "begin"),
      attribute<number[]>(call, "size"),
    ) as [number[], number[]];
    const end = begin.map((from, k) => from + size[k]!);
    return traced(
      slice(
        call.graph,
        x,
        begin,
        end,
        begin.map(() => 1),
      ),
    );
  },
  StridedSlice: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const number = (name: string): number => attribute<number>(call, name);
    const info = slice_util.sliceInfo(
      [...x.shape],
      attribute(call, "begin"),
      attribute(call, "end"),
      attribute(call, "strides"),
      number("beginMask"),
      number("endMask"),
      number("ellipsisMask"),
      number("newAxisMask"),
      number("shrinkAxisMask"),
    );
    const cut = slice(call.graph, x, info.begin, info.end, info.strides);
    return traced(reshape(call.graph, cut, info.finalShape));
  },
  Concat: (call) => {
    const parts = Object.values(call.inputs).map((input) => whole(call.graph, input));
    return traced(concat(call.graph, parts, axisOf(attribute<number>(call, "axis"), parts[0]!.shape.length)));
  },
  Pack: (call) => {
    const inputs = Object.values(call.inputs);
    const at = axisOf(attribute<number>(call, "axis"), inputs[0]!.shape.length + 1);
    const parts = inputs.map((input) => {
      const x = whole(call.graph, input);
      return reshape(call.graph, x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
    });
    return traced(concat(call.graph, parts, at));
  },
  Unpack: (call) => {
    const x = whole(call.graph, call.inputs["value"]!);
    const axis = axisOf(attribute<number>(call, "axis"), x.shape.length);
    const parts = split(call.graph, x, new Array<number>(x.shape[axis]!).fill(1), axis);
    return parts.map((part) => traced(reshape(call.graph, part, withoutAxis(x.shape, axis))));
  },
  SplitV: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const axis = axisOf(attribute<number>(call, "axis"), x.shape.length);
    const given = attribute<number | number[]>(call, "numOrSizeSplits");
    const sizes =
      typeof given === "number" ? new Array<number>(given).fill(x.shape[axis]! / given) : [...given];
    const known = sizes.reduce((sum, size) => sum + Math.max(0, size), 0);
    const filled = sizes.map((size) => (size === -1 ? x.shape[axis]! - known : size));
    return split(call.graph, x, filled, axis).map(traced);
  },
  Tile: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const reps = attribute<number[]>(call, "reps");
    const shape = x.shape.map((size, k) => size * reps[k]!);
    // Repeating axes of one number is broadcasting, which may never have to be carried out.
    if (x.shape.every((size, k) => size === 1 || reps[k] === 1)) return { value: x, shape };
    return traced(call.graph.node("Tile", [x, call.graph.integers(reps)], shape, x.dtype));
  },
  PadV2: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const paddings = attribute<readonly (readonly [number, number])[]>(call, "paddings");
    const shape = x.shape.map((size, k) => size + paddings[k]![0] + paddings[k]![1]);
    const pads = call.graph.integers([
      ...paddings.map(([before]) => before),
      ...paddings.map(([, after]) => after),
    ]);
    const fill = scalarOf(call.graph, attribute<number>(call, "constantValue"), x.dtype);
    return traced(call.graph.node("Pad", [x, pads, fill], shape, x.dtype));
  },
  Fill: (call) => {
    const dtype = elementTypeOf(
      attribute<"float32" | "int32" | "bool" | undefined>(call, "dtype") ?? "float32",
    );
    return {
      value: scalarOf(call.graph, attribute<number>(call, "value"), dtype),
      shape: attribute(call, "shape"),
    };
  },
  Range: (call) => {
    const [start, stop, step] = ["start", "stop", "step"].map((name) => attribute<number>(call, name)) as [
      number,
      number,
      number,
    ];
    const count = Math.max(0, Math.ceil((stop - start) / step));
    const numbers = Array.from({ length: count }, (_, k) => start + k * step);
    const integers = attribute<string | undefined>(call, "dtype") === "int32";
    return traced(
      integers
        ? call.graph.constant(Int32Array.from(numbers), [count], "int32")
        : call.graph.constant(Float32Array.from(numbers), [count], "float32"),
    );
  },
};
