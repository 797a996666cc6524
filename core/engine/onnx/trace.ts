/**
 * A TensorFlow.js backend that computes nothing: its kernels add nodes to a graph. Model code and TensorFlow.js's own
 * gradient tape run on it once for each shape of input, and what they would have computed is left behind as a graph.
 *
 * Always: one trace at a time in a thread, and the backend active before it is active again after it.
 */
import * as tf from "@tensorflow/tfjs-core";
import { messageOf, SkeinError } from "../../errors.js";
import { GraphBuilder, type ElementType, type Graph, type Value } from "./graph.js";
import { elementTypeOf, whole, type KernelCall, type Traced } from "./kernel.js";
import { elementwise } from "./kernels/elementwise.js";
import { indexing } from "./kernels/indexing.js";
import { matrix } from "./kernels/matrix.js";
import { reductions } from "./kernels/reduction.js";
import { shapes } from "./kernels/shape.js";

const BACKEND = "skein-trace";
const KERNELS = { ...elementwise, ...reductions, ...matrix, ...shapes, ...indexing };

/** Names of the TensorFlow.js kernels that can be traced. */
export const TRACED_KERNELS: readonly string[] = Object.keys(KERNELS).sort();

class TraceBackend extends tf.KernelBackend {
  graph = new GraphBuilder();
  private values = new WeakMap<tf.DataId, Value>();
  private count = 0;

  lookUp(dataId: tf.DataId): Value {
    const value = this.values.get(dataId);
    if (value === undefined) throw new Error("it uses a tensor made outside the model's forward function");
    return value;
  }

  hold(value: Value): tf.DataId {
    const dataId = {};
    this.values.set(dataId, value);
    this.count++;
    return dataId;
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    return this.hold(constantOf(this.graph, values as ArrayLike<number>, shape, elementTypeOf(dtype)));
  }

  override readSync(dataId: tf.DataId): tf.BackendValues {
    const made = this.graph.producer(this.lookUp(dataId));
    const what = made === undefined ? "an input" : `the result of ${made.op}`;
    throw new Error(`it reads ${what}, whose numbers are not known while it is traced`);
  }

  override read(dataId: tf.DataId): Promise<tf.BackendValues> {
    return Promise.resolve(this.readSync(dataId));
  }

  override disposeData(): boolean {
    this.count--;
    return true;
  }

  override refCount(): number {
    return 1;
  }

  override incRef(): void {
    // Values live as long as the trace.
  }

  override numDataIds(): number {
    return this.count;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override dispose(): void {
    this.values = new WeakMap();
  }
}

/** One number stays one number; its tensor's shape is kept beside it. */
function constantOf(
  graph: GraphBuilder,
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: ElementType,
): Value {
  const first = values[0];
  const uniform = first !== undefined && Array.prototype.every.call(values, (x: number) => x === first);
  const data = uniform ? [first] : Array.from(values);
  const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array, int64: null } as const;
  const make = arrays[dtype];
  if (make === null) throw new Error("64-bit integers are not TensorFlow.js numbers");
  return graph.constant(make.from(data), uniform ? [] : shape, dtype);
}

let registered: TraceBackend | null = null;

/** Registers the backend and its kernels through TensorFlow.js's plug-in interface. */
function traceBackend(): TraceBackend {
  if (registered !== null) return registered;
  const backend = new TraceBackend();
  tf.registerBackend(BACKEND, () => backend);
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const traced = Object.fromEntries(
          Object.entries(inputs)
            .filter(([, info]) => info !== undefined)
            .map(([name, info]) => {
              const { dataId, shape } = info as tf.TensorInfo;
              return [name, { value: backend.lookUp(dataId), shape }];
            }),
        );
        const call: KernelCall = { graph: backend.graph, inputs: traced, attrs: attrs ?? {} };
        const info = ({ value, shape }: Traced): tf.TensorInfo => ({
          dataId: backend.hold(value),
          shape: [...shape],
          dtype: value.dtype === "int64" ? "int32" : value.dtype,
        });
        const result = kernel(call);
        return Array.isArray(result) ? (result as Traced[]).map(info) : info(result as Traced);
      },
    });
  }
  registered = backend;
  return backend;
}

/** What is being traced, for those who trace: graph inputs as tensors, tensors as values. */
export interface Tracing {
  input(name: string, shape: readonly number[], dtype: ElementType): tf.Tensor;
  valueOf(tensor: tf.Tensor): Value;
}

/** Stack frames to look for the model's line in; an operation called inside a gradient is a dozen below it. */
const DEEP = 60;

/** Runs `run` on the tracing backend. Throws TRACE_FAILED where it does what no graph can. */
export function trace<T>(
  run: (tracing: Tracing) => { readonly outputs: readonly Value[]; readonly result: T },
): {
  readonly graph: Graph;
  readonly result: T;
} {
  const backend = traceBackend();
  const before = tf.engine().backendName;
  backend.graph = new GraphBuilder();
  // With a backend that needs no start-up, the change takes effect before the call returns.
  void tf.setBackend(BACKEND);
  const tracing: Tracing = {
    input: (name, shape, dtype) =>
      tf
        .engine()
        .makeTensorFromDataId(
          backend.hold(backend.graph.input(name, shape, dtype)),
          [...shape],
          dtype === "int64" ? "int32" : dtype,
          backend,
        ),
    valueOf: (tensor) => whole(backend.graph, { value: backend.lookUp(tensor.dataId), shape: tensor.shape }),
  };
  tf.engine().startScope("trace");
  const frames = Error.stackTraceLimit;
  Error.stackTraceLimit = DEEP;
  try {
    const { outputs, result } = run(tracing);
    return { graph: backend.graph.build(outputs), result };
  } catch (error) {
    if (error instanceof SkeinError) throw error;
    throw new SkeinError("TRACE_FAILED", `${complaint(error)}${modelLine(error)}`, { cause: error });
  } finally {
    Error.stackTraceLimit = frames;
    tf.engine().endScope();
    if (before) void tf.setBackend(before);
  }
}

function complaint(error: unknown): string {
  const message = messageOf(error);
  const unknown = /Kernel '(\w+)' not registered/.exec(message)?.[1];
  const reason =
    unknown === undefined
      ? message
      : `its operation ${unknown} has no kernel in core/engine/onnx/kernels, where one can be added (docs/engine.md)`;
  return `engine onnx: the model cannot be compiled: ${reason}; use another operation, or set engine: tfjs:wasm`;
}

/** Where in the model: the innermost stack frame in a file that is neither TensorFlow.js's nor the tracer's. */
function modelLine(error: unknown): string {
  const frames = (error instanceof Error ? (error.stack ?? "") : "").split("\n").slice(1);
  const place = frames
    .filter((line) => !/@tensorflow|core[\\/]engine[\\/]onnx|node:internal|<anonymous>\)/.test(line))
    .map((line) => /\(?(?:file:\/\/)?([^()\s]+:\d+):\d+\)?$/.exec(line.trim())?.[1])
    .find((found) => found !== undefined);
  return place === undefined ? "" : ` (at ${place})`;
}
