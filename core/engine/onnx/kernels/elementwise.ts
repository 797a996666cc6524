/** Kernels that work number by number, with broadcasting. */
import { broadcastShapes, type ElementType, type GraphBuilder, type Value } from "../graph.js";
import {
  attribute,
  cast,
  elementTypeOf,
  scalarOf,
  type KernelCall,
  type Kernels,
  type Traced,
} from "../kernel.js";

/** One ONNX operation of the same meaning. */
function unary(op: string) {
  return ({ graph, inputs: { x } }: KernelCall): Traced => ({
    value: graph.node(op, [x!.value], x!.value.shape, x!.value.dtype),
    shape: x!.shape,
  });
}

/** A value made from the input's value, the same size. */
function composed(make: (graph: GraphBuilder, x: Value, call: KernelCall) => Value) {
  return (call: KernelCall): Traced => ({
    value: make(call.graph, call.inputs["x"]!.value, call),
    shape: call.inputs["x"]!.shape,
  });
}

function binaryNode(
  graph: GraphBuilder,
  op: string,
  a: Value,
  b: Value,
  dtype: ElementType = a.dtype,
): Value {
  return graph.node(op, [a, b], broadcastShapes(a.shape, b.shape), dtype);
}

function binary(make: (graph: GraphBuilder, a: Value, b: Value) => Value) {
  return ({ graph, inputs: { a, b } }: KernelCall): Traced => ({
    value: make(graph, a!.value, b!.value),
    shape: broadcastShapes(a!.shape, b!.shape),
  });
}

const direct = (op: string) => binary((graph, a, b) => binaryNode(graph, op, a, b));
const comparison = (op: string) => binary((graph, a, b) => binaryNode(graph, op, a, b, "bool"));

function add(graph: GraphBuilder, a: Value, b: Value): Value {
  if (graph.scalarOf(a) === 0) return b;
  if (graph.scalarOf(b) === 0) return a;
  const product = graph.producer(a);
  // A matrix product adds one row to all of its rows at no cost.
  if (
    product?.op === "Gemm" &&
    product.inputs.length === 2 &&
    b.shape.length === 1 &&
    b.shape[0] === a.shape[1]
  )
    return graph.node("Gemm", [...product.inputs, b], a.shape, a.dtype, product.attributes);
  return binaryNode(graph, "Add", a, b);
}

function multiply(graph: GraphBuilder, a: Value, b: Value): Value {
  if (graph.scalarOf(a) === 1) return b;
  if (graph.scalarOf(b) === 1) return a;
  return binaryNode(graph, "Mul", a, b);
}

function divide(graph: GraphBuilder, a: Value, b: Value): Value {
  return graph.scalarOf(b) === 1 ? a : binaryNode(graph, "Div", a, b);
}

export const elementwise: Kernels = {
  Abs: unary("Abs"),
  Ceil: unary("Ceil"),
  Cos: unary("Cos"),
  Erf: unary("Erf"),
  Exp: unary("Exp"),
  Floor: unary("Floor"),
  Log: unary("Log"),
  LogicalNot: unary("Not"),
  Neg: unary("Neg"),
  Reciprocal: unary("Reciprocal"),
  Relu: unary("Relu"),
  Sigmoid: unary("Sigmoid"),
  Sign: unary("Sign"),
  Sin: unary("Sin"),
  Softplus: unary("Softplus"),
  Sqrt: unary("Sqrt"),
  Tanh: unary("Tanh"),
  Identity: ({ inputs: { x } }) => x!,
  Rsqrt: composed((graph, x) =>
    graph.node("Reciprocal", [graph.node("Sqrt", [x], x.shape, x.dtype)], x.shape, x.dtype),
  ),
  Square: composed((graph, x) => binaryNode(graph, "Mul", x, x)),
  Log1p: composed((graph, x) =>
    graph.node("Log", [binaryNode(graph, "Add", x, graph.scalar(1))], x.shape, x.dtype),
  ),
  Expm1: composed((graph, x) =>
    binaryNode(graph, "Sub", graph.node("Exp", [x], x.shape, x.dtype), graph.scalar(1)),
  ),
  Step: composed((graph, x, call) => {
    const positive = cast(graph, binaryNode(graph, "Greater", x, graph.scalar(0), "bool"), "float32");
    const alpha = attribute<number>(call, "alpha");
    if (alpha === 0) return positive;
    const slope = graph.scalar(alpha);
    return graph.node(
      "Where",
      [binaryNode(graph, "Greater", x, graph.scalar(0), "bool"), graph.scalar(1), slope],
      x.shape,
      "float32",
    );
  }),
  ClipByValue: composed((graph, x, call) => {
    const low = scalarOf(graph, attribute<number>(call, "clipValueMin"), x.dtype);
    const high = scalarOf(graph, attribute<number>(call, "clipValueMax"), x.dtype);
    return graph.node("Clip", [x, low, high], x.shape, x.dtype);
  }),
  Cast: composed((graph, x, call) => cast(graph, x, elementTypeOf(attribute(call, "dtype")))),
  ZerosLike: ({ graph, inputs: { x } }) => filled(graph, 0, x!),
  OnesLike: ({ graph, inputs: { x } }) => filled(graph, 1, x!),

  Add: binary(add),
  Sub: binary((graph, a, b) => (graph.scalarOf(b) === 0 ? a : binaryNode(graph, "Sub", a, b))),
  Multiply: binary(multiply),
  RealDiv: binary(divide),
  Maximum: direct("Max"),
  Minimum: direct("Min"),
  Pow: direct("Pow"),
  SquaredDifference: binary((graph, a, b) => {
    const difference = binaryNode(graph, "Sub", a, b);
    return binaryNode(graph, "Mul", difference, difference);
  }),
  Equal: comparison("Equal"),
  NotEqual: binary((graph, a, b) => {
    const equal = binaryNode(graph, "Equal", a, b, "bool");
    return graph.node("Not", [equal], equal.shape, "bool");
  }),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  LogicalAnd: comparison("And"),
  LogicalOr: comparison("Or"),
  AddN: ({ graph, inputs }) => {
    const all = Object.values(inputs);
    return { value: all.map(({ value }) => value).reduce((a, b) => add(graph, a, b)), shape: all[0]!.shape };
  },
  Select: ({ graph, inputs: { condition, t, e } }) => {
    const shape = broadcastShapes(broadcastShapes(condition!.value.shape, t!.value.shape), e!.value.shape);
    return {
      value: graph.node(
        "Where",
        [cast(graph, condition!.value, "bool"), t!.value, e!.value],
        shape,
        t!.value.dtype,
      ),
      shape: t!.shape,
    };
  },
};

function filled(graph: GraphBuilder, x: number, like: Traced): Traced {
  return { value: scalarOf(graph, x, like.value.dtype), shape: like.shape };
}
