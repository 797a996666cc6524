/** Kernels that reduce along axes. */
import { util } from "@tensorflow/tfjs-core";
import type { ElementType, GraphBuilder, Value } from "../graph.js";
import {
  attribute,
  axisOf,
  cast,
  reshape,
  traced,
  whole,
  type KernelCall,
  type Kernels,
  type Traced,
} from "../kernel.js";

function reducedShape(shape: readonly number[], axes: readonly number[], keep: boolean): number[] {
  return keep
    ? shape.map((size, k) => (axes.includes(k) ? 1 : size))
    : shape.filter((_, k) => !axes.includes(k));
}

function reduce(
  graph: GraphBuilder,
  op: string,
  x: Value,
  axes: readonly number[],
  keepDims: boolean,
): Value {
  const shape = reducedShape(x.shape, axes, keepDims);
  if (axes.every((axis) => x.shape[axis] === 1)) return reshape(graph, x, shape);
  const attributes = { keepdims: keepDims ? 1 : 0 };
  if (op === "ReduceSum" && x.shape.length === 2 && axes.join() === "0" && x.dtype === "float32") {
    // A product with a row of ones runs several times faster than ONNX Runtime's reduction of the first axis.
    const ones = graph.constant(new Float32Array(x.shape[0]!).fill(1), [1, x.shape[0]!], "float32");
    return reshape(graph, graph.node("Gemm", [ones, x], [1, x.shape[1]!], x.dtype), shape);
  }
  // Operator set 18 gives the axes of every reduction as an input.
  return graph.node(op, [x, graph.integers(axes)], shape, x.dtype, attributes);
}

/** `dtype`: what is reduced where it is not the input's type; truths are counted. */
function reduction(op: string, axisName: string, dtype?: ElementType) {
  return (call: KernelCall): Traced => {
    const input = whole(call.graph, call.inputs["x"]!);
    const x = cast(call.graph, input, dtype ?? (input.dtype === "bool" ? "int32" : input.dtype));
    const axes = util.parseAxisParam(attribute<number | number[]>(call, axisName), [...x.shape]);
    return traced(reduce(call.graph, op, x, axes, attribute<boolean | undefined>(call, "keepDims") ?? false));
  };
}

export const reductions: Kernels = {
  Sum: reduction("ReduceSum", "axis"),
  Mean: reduction("ReduceMean", "axis", "float32"),
  Max: reduction("ReduceMax", "reductionIndices"),
  Min: reduction("ReduceMin", "axis"),
  Prod: reduction("ReduceProd", "axis"),
  Softmax: (call) => {
    const x = whole(call.graph, call.inputs["logits"]!);
    const axis = axisOf(attribute<number>(call, "dim"), x.shape.length);
    return traced(call.graph.node("Softmax", [x], x.shape, x.dtype, { axis }));
  },
  ArgMax: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const axis = axisOf(attribute<number>(call, "axis"), x.shape.length);
    const shape = reducedShape(x.shape, [axis], false);
    return traced(
      cast(call.graph, call.graph.node("ArgMax", [x], shape, "int64", { axis, keepdims: 0 }), "int32"),
    );
  },
  Cumsum: (call) => {
    const x = whole(call.graph, call.inputs["x"]!);
    const attributes = {
      exclusive: attribute<boolean>(call, "exclusive") ? 1 : 0,
      reverse: attribute<boolean>(call, "reverse") ? 1 : 0,
    };
    const axis = call.graph.constant(BigInt64Array.of(BigInt(attribute<number>(call, "axis"))), [], "int64");
    return traced(call.graph.node("CumSum", [x, axis], x.shape, x.dtype, attributes));
  },
};
