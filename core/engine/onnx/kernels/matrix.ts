/** Matrix products. */
import { broadcastShapes, type GraphBuilder, type Value } from "../graph.js";
import { attribute, traced, whole, type Kernels } from "../kernel.js";
import { transpose } from "./shape.js";

const swapLast = (rank: number): number[] => [
  ...Array.from({ length: rank - 2 }, (_, k) => k),
  rank - 1,
  rank - 2,
];

/** The matrix that `x` is a transposition of, where it is one: the runtime transposes while it multiplies. */
function untransposed(graph: GraphBuilder, x: Value): Value | null {
  const producer = graph.producer(x);
  if (producer?.op !== "Transpose") return null;
  const perm = producer.attributes["perm"] as readonly number[];
  return perm.join() === "1,0" ? producer.inputs[0]! : null;
}

function matMul(graph: GraphBuilder, a: Value, b: Value, transposeA: boolean, transposeB: boolean): Value {
  const rank = Math.max(a.shape.length, b.shape.length);
  if (rank === 2) {
    const plainA = untransposed(graph, a);
    const plainB = untransposed(graph, b);
    const [transA, transB] = [transposeA !== (plainA !== null), transposeB !== (plainB !== null)];
    const rows = a.shape[transposeA ? 1 : 0]!;
    const columns = b.shape[transposeB ? 0 : 1]!;
    const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0 };
    return graph.node("Gemm", [plainA ?? a, plainB ?? b], [rows, columns], a.dtype, attributes);
  }
  const left = transposeA ? transpose(graph, a, swapLast(a.shape.length)) : a;
  const right = transposeB ? transpose(graph, b, swapLast(b.shape.length)) : b;
  const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const shape = [...batch, left.shape[left.shape.length - 2]!, right.shape[right.shape.length - 1]!];
  return graph.node("MatMul", [left, right], shape, a.dtype);
}

export const matrix: Kernels = {
  BatchMatMul: (call) => {
    const { graph, inputs } = call;
    // TensorFlow.js gives matrices as batches of one.
    const a = whole(graph, inputs["a"]!);
    const b = whole(graph, inputs["b"]!);
    return traced(matMul(graph, a, b, attribute(call, "transposeA"), attribute(call, "transposeB")));
  },
};
