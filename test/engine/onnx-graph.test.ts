/** Graphs as data: what is left out, what is one, and what a cut keeps. */
import { Reader } from "protobufjs";
import { describe, expect, it } from "vitest";
import { cutGraph, GraphBuilder, type Graph, type Value } from "../../core/engine/onnx/graph.js";
import { encodeOnnx } from "../../core/engine/onnx/onnx-file.js";
import { Runtime } from "../../core/engine/onnx/runtime.js";
import { Random } from "../../core/random.js";
import { runGraph, type Input } from "./onnx-run.js";

const floats = (...data: number[]): Input => ({ shape: [data.length], dtype: "float32", data });

function names(values: readonly Value[]): string[] {
  return values.map(({ name }) => name);
}

describe("a graph", () => {
  it("leaves out nodes, constants and inputs that no output needs", async () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", [3], "float32");
    const unused = builder.input("unused", [3], "float32");
    const kept = builder.node("Mul", [x, builder.scalar(2)], [3], "float32");
    builder.node("Add", [kept, builder.scalar(5)], [3], "float32");
    builder.node("Tanh", [unused], [3], "float32");
    const graph = builder.build([kept]);
    expect(names(graph.inputs)).toEqual(["x"]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Mul"]);
    expect(graph.constants.map(({ data }) => Array.from(data as Float32Array))).toEqual([[2]]);
    expect(await runGraph(graph, { x: floats(1, 2, 3) })).toEqual([[2, 4, 6]]);
  });

  it("makes nodes of the same operation, inputs and attributes one", () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", [2, 3], "float32");
    const transposed = (): Value => builder.node("Transpose", [x], [3, 2], "float32", { perm: [1, 0] });
    const doubled = (): Value => builder.node("Mul", [transposed(), builder.scalar(2)], [3, 2], "float32");
    expect(doubled()).toBe(doubled());
    expect(builder.build([doubled()]).nodes).toHaveLength(2);
    expect(builder.node("Softmax", [x], [2, 3], "float32", { axis: 0 })).not.toBe(
      builder.node("Softmax", [x], [2, 3], "float32", { axis: 1 }),
    );
  });

  it("makes constants of the same numbers, shape and type one", () => {
    const builder = new GraphBuilder();
    expect(builder.scalar(1)).toBe(builder.scalar(1));
    expect(builder.integers([1, 2])).toBe(builder.integers([1, 2]));
    expect(builder.scalar(1)).not.toBe(builder.scalar(1, "int32"));
    expect(builder.scalar(1)).not.toBe(builder.constant(Float32Array.of(1), [1], "float32"));
    expect(builder.scalar(1)).not.toBe(builder.scalar(2));
  });
});

/** Field numbers as the ONNX schema publishes them: ModelProto 1, 2, 7, 8; OperatorSetIdProto 2. */
function headerOf(file: Uint8Array): { ir: number; producer: string; opset: number } {
  const header = { ir: 0, producer: "", opset: 0 };
  const reader = Reader.create(file);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) header.ir = Number(reader.int64());
    else if (tag >>> 3 === 2) header.producer = reader.string();
    else if (tag >>> 3 === 8) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) {
        const inner = reader.uint32();
        if (inner >>> 3 === 2) header.opset = Number(reader.int64());
        else reader.skipType(inner & 7);
      }
    } else reader.skipType(tag & 7);
  }
  return header;
}

describe("an ONNX file", () => {
  it("says its intermediate representation, operator set and producer", () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", [1], "float32");
    const file = encodeOnnx(builder.build([builder.node("Tanh", [x], [1], "float32")]), "small");
    expect(headerOf(file)).toEqual({ ir: 8, producer: "skein", opset: 18 });
  });

  it("carries constants of every type and attributes of every kind", async () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", [2, 2], "float32");
    const leaky = builder.node("LeakyRelu", [x], [2, 2], "float32", { alpha: 0.25 });
    const turned = builder.node("Transpose", [leaky], [2, 2], "float32", { perm: [1, 0] });
    const sums = builder.node(
      "CumSum",
      [turned, builder.constant(Int32Array.of(1), [], "int32")],
      [2, 2],
      "float32",
      {
        reverse: 1,
      },
    );
    const rows = builder.constant(BigInt64Array.of(1n, 1n), [2, 1], "int64");
    const scattered = builder.node("ScatterND", [sums, rows, turned], [2, 2], "float32", {
      reduction: "add",
    });
    const truths = builder.constant(Uint8Array.of(1, 0), [2], "bool");
    const chosen = builder.node("Where", [truths, scattered, builder.scalar(-7)], [2, 2], "float32");
    const got = await runGraph(builder.build([turned, sums, scattered, chosen]), {
      x: { shape: [2, 2], dtype: "float32", data: [1, -2, -4, 8] },
    });
    expect(got).toEqual([
      [1, -1, -0.5, 8],
      [0, -1, 7.5, 8],
      // Both rows of [[1, −1], [−0.5, 8]] are added to row 1.
      [0, -1, 8, 15],
      [0, -7, 8, -7],
    ]);
  });

  it("that ONNX Runtime refuses is one error with the engine, the network's name and the fix", async () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", [1], "float32");
    const graph = builder.build([builder.node("NoSuchOperation", [x], [1], "float32")]);
    const runtime = await Runtime.open({ provider: "cpu", threads: 1 });
    await expect(runtime.compile(graph, "impossible")).rejects.toMatchObject({
      code: "ENGINE_UNAVAILABLE",
      message: expect.stringMatching(
        /^engine onnx:cpu: .*"impossible".*NoSuchOperation.*; set engine: tfjs:wasm$/,
      ) as string,
    });
  });
});

const CHEAP = new Set(["Reshape", "Cast", "Expand"]);

interface RandomGraph {
  readonly graph: Graph;
  readonly at: readonly Value[];
  readonly feeds: Readonly<Record<string, Input>>;
}

/** A chain of random nodes on [4] and [2, 2], half of them after the cut; every last output needs what comes late. */
function randomGraph(seed: number): RandomGraph {
  const random = new Random(seed);
  const builder = new GraphBuilder();
  const numbers = (): Input => floats(...Array.from({ length: 4 }, () => random.normal()));
  const vectors = [builder.input("a", [4], "float32"), builder.input("b", [4], "float32")];
  const truths: Value[] = [];
  const pick = <T>(list: readonly T[]): T => list[random.integer(list.length)]!;
  const grow = (): void => {
    const [x, y] = [pick(vectors), pick(vectors)];
    const kind = random.integer(6);
    if (kind === 0) vectors.push(builder.node("Tanh", [x], [4], "float32"));
    else if (kind === 1) vectors.push(builder.node("Add", [x, y], [4], "float32"));
    else if (kind === 2) vectors.push(builder.node("Mul", [x, y], [4], "float32"));
    else if (kind === 3) {
      const square = builder.node("Reshape", [x, builder.integers([2, 2])], [2, 2], "float32");
      const turned = builder.node("Transpose", [square], [2, 2], "float32", { perm: [1, 0] });
      vectors.push(builder.node("Reshape", [turned, builder.integers([4])], [4], "float32"));
    } else if (kind === 4 || truths.length === 0) {
      truths.push(builder.node("Greater", [x, y], [4], "bool"));
    } else {
      const mask = builder.node("Cast", [pick(truths)], [4], "float32", { to: 1 });
      vectors.push(builder.node("Mul", [mask, x], [4], "float32"));
    }
  };
  for (let i = 0; i < 12; i++) grow();
  const made = vectors.filter((value) => builder.producer(value) !== undefined);
  const at =
    made.length === 0 ? [builder.node("Neg", [vectors[0]!], [4], "float32")] : [pick(made), pick(made)];
  const late = builder.input("late", [4], "float32");
  vectors.push(late);
  for (let i = 0; i < 12; i++) grow();
  const outputs = [pick(vectors), pick(vectors)].map((x) => builder.node("Sub", [late, x], [4], "float32"));
  const feeds = { a: numbers(), b: numbers(), late: numbers() };
  return { graph: builder.build([...new Set([...at, ...outputs])]), at: [...new Set(at)], feeds };
}

describe("a graph that is cut in two", () => {
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);

  it.each(seeds)("gives in its parts the numbers of the whole (seed %i)", async (seed) => {
    const { graph, at, feeds } = randomGraph(seed);
    const want = await runGraph(graph, feeds);
    const { first, second, carried } = cutGraph(graph, at);
    expect(names(first.inputs)).not.toContain("late");
    const known = new Map<string, readonly number[]>();
    (await runGraph(first, feeds)).forEach((data, k) => known.set(first.outputs[k]!.name, data));
    const handedOver = carried.map(
      ({ name, shape }) => [name, { shape, dtype: "float32", data: known.get(name)! }] as const,
    );
    const rest = await runGraph(second, { ...feeds, ...Object.fromEntries(handedOver) });
    rest.forEach((data, k) => known.set(second.outputs[k]!.name, data));
    expect(graph.outputs.map(({ name }) => known.get(name))).toEqual(want);
  });

  it("runs no node twice but cheap ones and those that find truths", () => {
    let repeated = 0;
    for (const seed of seeds) {
      const { graph, at } = randomGraph(seed);
      const { first, second, carried } = cutGraph(graph, at);
      const early = new Set(first.nodes);
      for (const node of second.nodes.filter((candidate) => early.has(candidate))) {
        repeated++;
        expect(CHEAP.has(node.op) || node.outputs[0]!.dtype === "bool", node.op).toBe(true);
      }
      expect(new Set([...first.nodes, ...second.nodes]).size).toBe(graph.nodes.length);
      expect(carried.filter(({ dtype }) => dtype === "bool")).toEqual([]);
    }
    expect(repeated).toBeGreaterThan(0);
  });
});
