/**
 * A computation as data: values, the nodes that make them, and the initial values of constants. Nodes are pure, so
 * equal nodes are one node, and what no output needs is left out.
 */
import { SkeinError } from "../../errors.js";

export type ElementType = "float32" | "int32" | "int64" | "bool";
export type ElementArray = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

export type Attribute = number | string | readonly number[];
/** Floats are told from integers by their name here: ONNX gives attributes types, JavaScript numbers have none. */
export const FLOAT_ATTRIBUTES: ReadonlySet<string> = new Set(["alpha", "beta", "epsilon"]);

export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface Constant {
  readonly value: Value;
  readonly data: ElementArray;
}

export interface Graph {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly constants: readonly Constant[];
  /** In an order in which they can run. */
  readonly nodes: readonly Node[];
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, k) => size === b[k]);
}

/** NumPy's broadcasting. Throws SHAPE where the shapes do not fit. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, k) => {
    const left = a[a.length - rank + k] ?? 1;
    const right = b[b.length - rank + k] ?? 1;
    if (left !== right && left !== 1 && right !== 1)
      throw new SkeinError(
        "SHAPE",
        `broadcast: expected shapes that fit, got [${a.join()}] and [${b.join()}]`,
      );
    return left === 1 ? right : left;
  });
}

const SMALL_CONSTANT = 64;

export class GraphBuilder {
  private readonly inputs: Value[] = [];
  private readonly constants = new Map<string, Constant>();
  private readonly nodes: Node[] = [];
  private readonly byKey = new Map<string, readonly Value[]>();
  private readonly producers = new Map<Value, Node>();
  private count = 0;

  input(name: string, shape: readonly number[], dtype: ElementType): Value {
    const value = { name, shape, dtype };
    this.inputs.push(value);
    return value;
  }

  constant(data: ElementArray, shape: readonly number[], dtype: ElementType): Value {
    const key = data.length <= SMALL_CONSTANT ? `constant ${dtype} [${shape.join()}] ${data.join()}` : null;
    const known = key === null ? undefined : this.byKey.get(key)?.[0];
    if (known !== undefined) return known;
    const value = { name: `c${this.count++}`, shape, dtype };
    this.constants.set(value.name, { value, data });
    if (key !== null) this.byKey.set(key, [value]);
    return value;
  }

  scalar(x: number, dtype: "float32" | "int32" = "float32"): Value {
    return this.constant(dtype === "float32" ? Float32Array.of(x) : Int32Array.of(x), [], dtype);
  }

  /** A list of sizes or axes, as ONNX takes them. */
  integers(list: readonly number[]): Value {
    return this.constant(BigInt64Array.from(list, BigInt), [list.length], "int64");
  }

  node(
    op: string,
    inputs: readonly Value[],
    shape: readonly number[],
    dtype: ElementType,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value {
    return this.nodeWithOutputs(op, inputs, [{ shape, dtype }], attributes)[0]!;
  }

  nodeWithOutputs(
    op: string,
    inputs: readonly Value[],
    outputs: readonly Pick<Value, "shape" | "dtype">[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): readonly Value[] {
    const names = inputs.map(({ name }) => name).join();
    const shapes = outputs.map(({ shape }) => shape.join()).join(";");
    const key = `${op}(${names})${JSON.stringify(attributes)}${outputs[0]!.dtype}[${shapes}]`;
    const known = this.byKey.get(key);
    if (known !== undefined) return known;
    const values = outputs.map(({ shape, dtype }) => ({ name: `v${this.count++}`, shape, dtype }));
    const node = { op, inputs, outputs: values, attributes };
    this.nodes.push(node);
    for (const value of values) this.producers.set(value, node);
    this.byKey.set(key, values);
    return values;
  }

  producer(value: Value): Node | undefined {
    return this.producers.get(value);
  }

  /** The number that a scalar constant holds; null for anything else. */
  scalarOf(value: Value): number | null {
    const constant = this.constants.get(value.name);
    return constant !== undefined && constant.data.length === 1 ? Number(constant.data[0]) : null;
  }

  /** What `outputs` need of all that was built. Graph inputs are kept whether needed or not, in their order. */
  build(outputs: readonly Value[]): Graph {
    return prune({
      inputs: this.inputs,
      outputs,
      constants: [...this.constants.values()],
      nodes: this.nodes,
    });
  }
}

/** Leaves out nodes and constants that no output needs. */
function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(({ name }) => needed.has(name))) continue;
    nodes.push(node);
    for (const { name } of node.inputs) needed.add(name);
  }
  const constants = graph.constants.filter(({ value }) => needed.has(value.name));
  const inputs = graph.inputs.filter(({ name }) => needed.has(name));
  return { inputs, outputs: graph.outputs, constants, nodes: nodes.reverse() };
}

/** Operations so cheap that repeating them costs less than keeping their result; truths are always found again. */
const REPEATED: ReadonlySet<string> = new Set(["Reshape", "Cast", "Expand"]);

export interface CutGraph {
  /** Inputs → the values at which the graph was cut, then `carried`. */
  readonly first: Graph;
  /** Inputs and `carried` → the other outputs. */
  readonly second: Graph;
  /** Made by the first part and needed by the second. */
  readonly carried: readonly Value[];
}

/**
 * Cuts a graph in two after `at`, which are among its outputs, so that what follows from them can be decided outside.
 * No node but cheap ones runs twice.
 */
export function cutGraph(graph: Graph, at: readonly Value[]): CutGraph {
  const before = prune({ ...graph, outputs: at });
  const early = new Map(
    before.nodes.flatMap((node) => node.outputs.map(({ name }) => [name, node] as const)),
  );
  const carried = new Map<string, Value>();
  const repeated = new Set<Node>();
  const need = (value: Value): void => {
    const node = early.get(value.name);
    if (node === undefined) return;
    if (!REPEATED.has(node.op) && value.dtype !== "bool") {
      carried.set(value.name, value);
      return;
    }
    repeated.add(node);
    node.inputs.forEach(need);
  };
  const late = graph.nodes.filter((node) => !node.outputs.some(({ name }) => early.has(name)));
  for (const node of late) node.inputs.forEach(need);
  const decided = new Set(at.map(({ name }) => name));
  const carriedValues = [...carried.values()];
  const outputs = [...at, ...carriedValues.filter(({ name }) => !decided.has(name))];
  const second = {
    inputs: [...graph.inputs, ...carriedValues],
    outputs: graph.outputs.filter(({ name }) => !decided.has(name)),
    constants: graph.constants,
    nodes: graph.nodes.filter((node) => repeated.has(node) || late.includes(node)),
  };
  return { first: prune({ ...graph, outputs }), second: prune(second), carried: carriedValues };
}
