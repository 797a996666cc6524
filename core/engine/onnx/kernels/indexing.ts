/** Kernels that pick or add by index. */
import { sizeOf, type GraphBuilder, type Value } from "../graph.js";
import {
  attribute,
  axisOf,
  cast,
  elementTypeOf,
  reshape,
  scalarOf,
  traced,
  whole,
  type Kernels,
} from "../kernel.js";

function indices(graph: GraphBuilder, value: Value): Value {
  return cast(graph, value, "int64");
}

/** Zeros of `shape` with `updates` added at the indices, repeated ones too. */
function scatterAdd(graph: GraphBuilder, at: Value, updates: Value, shape: readonly number[]): Value {
  const zeros = whole(graph, { value: scalarOf(graph, 0, updates.dtype), shape });
  return graph.node("ScatterND", [zeros, indices(graph, at), updates], shape, updates.dtype, {
    reduction: "add",
  });
}

export const indexing: Kernels = {
  GatherV2: (call) => {
    const { graph, inputs } = call;
    if (attribute<number>(call, "batchDims") !== 0)
      throw new Error("gather with batch dimensions cannot be traced");
    const x = whole(graph, inputs["x"]!);
    const at = indices(graph, whole(graph, inputs["indices"]!));
    const axis = axisOf(attribute<number>(call, "axis"), x.shape.length);
    const shape = [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)];
    return traced(graph.node("Gather", [x, at], shape, x.dtype, { axis }));
  },
  GatherNd: ({ graph, inputs }) => {
    const x = whole(graph, inputs["params"]!);
    const at = indices(graph, whole(graph, inputs["indices"]!));
    const depth = at.shape[at.shape.length - 1]!;
    return traced(
      graph.node("GatherND", [x, at], [...at.shape.slice(0, -1), ...x.shape.slice(depth)], x.dtype),
    );
  },
  /** Rows with the same segment are added up: the gradient of a gather. */
  UnsortedSegmentSum: (call) => {
    const { graph, inputs } = call;
    const x = whole(graph, inputs["x"]!);
    const ids = whole(graph, inputs["segmentIds"]!);
    const rest = x.shape.slice(ids.shape.length);
    const count = sizeOf(ids.shape);
    const rows = reshape(graph, x, [count, ...rest]);
    const at = reshape(graph, ids, [count, 1]);
    return traced(scatterAdd(graph, at, rows, [attribute<number>(call, "numSegments"), ...rest]));
  },
  ScatterNd: (call) => {
    const { graph, inputs } = call;
    const at = whole(graph, inputs["indices"]!);
    return traced(scatterAdd(graph, at, whole(graph, inputs["updates"]!), attribute(call, "shape")));
  },
  OneHot: (call) => {
    const { graph, inputs } = call;
    const at = whole(graph, inputs["indices"]!);
    const depth = attribute<number>(call, "depth");
    const column = reshape(graph, cast(graph, at, "int32"), [...at.shape, 1]);
    const classes = graph.constant(
      Int32Array.from({ length: depth }, (_, k) => k),
      [depth],
      "int32",
    );
    const hit = graph.node("Equal", [column, classes], [...at.shape, depth], "bool");
    const on = attribute<number>(call, "onValue");
    const off = attribute<number>(call, "offValue");
    const dtype = elementTypeOf(attribute(call, "dtype"));
    if (on === 1 && off === 0) return traced(cast(graph, hit, dtype));
    const pick = graph.node("Where", [hit, graph.scalar(on), graph.scalar(off)], hit.shape, "float32");
    return traced(cast(graph, pick, dtype));
  },
};
