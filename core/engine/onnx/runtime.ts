/** ONNX Runtime: what it can run on here, and sessions made from graphs. Only importer of onnxruntime-node. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-common";
import { messageOf, SkeinError } from "../../errors.js";
import { GraphBuilder, sizeOf, type Graph, type Value } from "./graph.js";
import { encodeOnnx } from "./onnx-file.js";

export type Provider = "cpu" | "cuda" | "webgpu";

interface OnnxRuntime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: typeof Tensor;
  readonly env: { readonly versions: { readonly node?: string } };
  listSupportedBackends(): readonly { readonly name: string; readonly bundled: boolean }[];
}

function load(provider: Provider): OnnxRuntime {
  try {
    return createRequire(import.meta.url)("onnxruntime-node") as OnnxRuntime;
  } catch (error) {
    throw new SkeinError(
      "ENGINE_UNAVAILABLE",
      `engine onnx:${provider}: ONNX Runtime does not load on ${process.platform}-${process.arch}: ${messageOf(error).split("\n")[0] ?? ""}; ` +
        "reinstall with npm ci, or set engine: tfjs:wasm",
      { cause: error },
    );
  }
}

const INSTALL: Readonly<Record<Provider, string>> = {
  cpu: "reinstall with npm ci",
  cuda: "on Linux x64 with CUDA 12 and cuDNN 9, run: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12",
  webgpu: "onnxruntime-node brings it for Linux x64, Windows and macOS on arm64 only",
};

/** What a provider needs beside its library. */
const DEVICE: Readonly<Record<Provider, string>> = {
  cpu: "reinstall with npm ci, or set engine: tfjs:wasm",
  cuda: "it needs an NVIDIA driver, CUDA 12 and cuDNN 9 (docs/gpu.md); or set engine: onnx:cpu",
  webgpu: "it needs a graphics driver, on Linux one for Vulkan (docs/gpu.md); or set engine: onnx:cpu",
};

/** What ONNX Runtime says, in one line, without where in its source: `file:line function condition was false. reason`. */
function reasonOf(error: unknown): string {
  const message = messageOf(error).replace(/\s+/g, " ").trim();
  return /^\S+:\d+ .* was false\. (.+)$/.exec(message)?.[1] ?? message;
}

/** Where ONNX Runtime looks for a provider that is not built into it. */
function providerLibrary(provider: Provider): string {
  const root = dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")));
  return join(
    root,
    "bin",
    "napi-v6",
    process.platform,
    process.arch,
    `libonnxruntime_providers_${provider}.so`,
  );
}

export interface RuntimeOptions {
  readonly provider: Provider;
  /** Threads that one operation may use; the calling thread is one of them. */
  readonly threads: number;
}

/** A tensor whose numbers lie in `data`, in JavaScript's memory: the runtime reads and writes them in place. */
export interface Bound<T extends Float32Array | Int32Array = Float32Array> {
  readonly data: T;
  readonly tensor: TypedTensor<"float32" | "int32">;
}

export class Runtime {
  private constructor(
    private readonly library: OnnxRuntime,
    private readonly options: RuntimeOptions,
  ) {}

  get version(): string {
    return this.library.env.versions.node ?? "";
  }

  /** Throws ENGINE_UNAVAILABLE, with the fix, where the library or the provider is missing or does not work. */
  static async open(options: RuntimeOptions): Promise<Runtime> {
    const { provider } = options;
    const library = load(provider);
    const supported = library.listSupportedBackends().find(({ name }) => name === provider);
    if (supported === undefined || !(supported.bundled || existsSync(providerLibrary(provider)))) {
      throw new SkeinError(
        "ENGINE_UNAVAILABLE",
        `engine onnx:${provider}: this installation of ONNX Runtime has no ${provider} provider; ${INSTALL[provider]}, ` +
          "or set engine: onnx:cpu",
      );
    }
    const runtime = new Runtime(library, options);
    try {
      await runtime.tryOut();
    } catch (error) {
      throw new SkeinError(
        "ENGINE_UNAVAILABLE",
        `engine onnx:${provider}: its device does not start: ${reasonOf(error)}; ${DEVICE[provider]}`,
        { cause: error },
      );
    }
    return runtime;
  }

  /** One addition: a provider can be there and its device not. */
  private async tryOut(): Promise<void> {
    const graph = new GraphBuilder();
    const x = graph.input("x", [1], "float32");
    const sum = graph.node("Add", [x, x], [1], "float32");
    const session = await this.open(graph.build([sum]), "trial", 1);
    try {
      await session.run({ x: this.float32([1]).tensor });
    } finally {
      await session.release();
    }
  }

  float32(shape: readonly number[], data: Float32Array = new Float32Array(sizeOf(shape))): Bound {
    return { data, tensor: new this.library.Tensor("float32", data as Float32Array<ArrayBuffer>, shape) };
  }

  int32(shape: readonly number[]): Bound<Int32Array> {
    const data = new Int32Array(sizeOf(shape));
    return { data, tensor: new this.library.Tensor("int32", data, shape) };
  }

  /** Throws ENGINE_UNAVAILABLE where the runtime refuses the graph. */
  async compile(graph: Graph, name: string, threads = this.options.threads): Promise<InferenceSession> {
    const { provider } = this.options;
    try {
      return await this.open(graph, name, threads);
    } catch (error) {
      throw new SkeinError(
        "ENGINE_UNAVAILABLE",
        `engine onnx:${provider}: ONNX Runtime refused the network compiled for "${name}": ${reasonOf(error)}; ` +
          `set engine: ${provider === "cpu" ? "tfjs:wasm" : "onnx:cpu"}`,
        { cause: error },
      );
    }
  }

  private open(graph: Graph, name: string, threads: number): Promise<InferenceSession> {
    const { provider } = this.options;
    return this.library.InferenceSession.create(encodeOnnx(graph, name), {
      executionProviders: provider === "cpu" ? ["cpu"] : [provider, "cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
      // A session's threads must not go on spinning while another session, or an actor, wants the core.
      extra: { session: { force_spinning_stop: "1" } },
    });
  }
}

/** A place for each value, to be written by one session and read by another. */
export function bind(runtime: Runtime, values: readonly Value[]): Map<string, Bound | Bound<Int32Array>> {
  return new Map(
    values.map(({ name, shape, dtype }) => {
      if (dtype !== "float32" && dtype !== "int32")
        throw new SkeinError("INTERNAL", `compiled network: values of type ${dtype} are not handed over`);
      return [name, dtype === "float32" ? runtime.float32(shape) : runtime.int32(shape)];
    }),
  );
}
