/** Which engine runs: what is installed, what works, and why not. */
import { availableParallelism } from "node:os";
import type { RunConfig } from "../config/schema.js";
import { widthOf } from "../env/spaces.js";
import { messageOf, SkeinError } from "../errors.js";
import type { Model } from "../model/model.js";
import type { Engine, LiveColumn } from "./engine.js";

export type EngineChoice = RunConfig["engine"];
export type EngineId = Exclude<EngineChoice, "auto">;

export interface EngineOptions {
  /** Threads that the engine may use; 0 = one for each core. TensorFlow.js engines choose for themselves. */
  readonly threads: number;
}

/** An engine that works here, and what it runs on. */
interface Started {
  readonly detail: string;
  create(model: Model): Engine;
}

export interface EngineProbe {
  readonly id: EngineId;
  readonly available: boolean;
  /** What it runs on, or why it cannot. */
  readonly detail: string;
}

async function startOnnx(provider: "cpu" | "cuda" | "webgpu", { threads }: EngineOptions): Promise<Started> {
  const [{ Runtime }, { OnnxEngine }] = await Promise.all([
    import("./onnx/runtime.js"),
    import("./onnx/onnx-engine.js"),
  ]);
  const count = threads === 0 ? availableParallelism() : threads;
  const runtime = await Runtime.open({ provider, threads: count });
  return {
    detail: `ONNX Runtime ${runtime.version}, ${provider === "cpu" ? `${count} thread${count === 1 ? "" : "s"}` : provider}`,
    create: (model) => new OnnxEngine(`onnx:${provider}`, model, runtime),
  };
}

async function startTfjs(id: "tfjs:tensorflow" | "tfjs:wasm"): Promise<Started> {
  const [{ useNativeTensorflow, useWasm }, { TfjsEngine }] = await Promise.all([
    import("./tfjs-backends.js"),
    import("./tfjs.js"),
  ]);
  const detail = await (id === "tfjs:wasm" ? useWasm() : useNativeTensorflow());
  return { detail, create: (model) => new TfjsEngine(id, model) };
}

const STARTERS: Record<EngineId, (options: EngineOptions) => Promise<Started>> = {
  "onnx:cpu": (options) => startOnnx("cpu", options),
  "onnx:cuda": (options) => startOnnx("cuda", options),
  "onnx:webgpu": (options) => startOnnx("webgpu", options),
  "tfjs:tensorflow": () => startTfjs("tfjs:tensorflow"),
  "tfjs:wasm": () => startTfjs("tfjs:wasm"),
};

export const ENGINE_IDS = Object.keys(STARTERS) as EngineId[];

/**
 * What `auto` tries, fastest first as measured (docs/engine.md). Graphics processors are left to those who name them:
 * whether one is faster depends on the network, and small networks lose more by copying than they gain.
 */
export const AUTO_ORDER: readonly EngineId[] = ["onnx:cpu", "tfjs:tensorflow", "tfjs:wasm"];

/** Tries one engine; changes the active TensorFlow.js backend. */
export async function probeEngine(id: EngineId): Promise<EngineProbe> {
  try {
    return { id, available: true, detail: (await STARTERS[id]({ threads: 0 })).detail };
  } catch (error) {
    return { id, available: false, detail: messageOf(error) };
  }
}

/** Tries every engine; changes the active TensorFlow.js backend. */
export async function probeEngines(): Promise<EngineProbe[]> {
  const probes: EngineProbe[] = [];
  for (const id of ENGINE_IDS) probes.push(await probeEngine(id));
  return probes;
}

const LIVE: readonly LiveColumn[] = ["logprob", "entropy", "value"];

/**
 * Forward and backward on one step of zeros: throws where the engine cannot run this network. Leaves the engine as it
 * was, since a gradient that is not finite changes nothing.
 */
async function tryOut(engine: Engine, { spec }: Model): Promise<void> {
  const width = widthOf(spec.actionSpace);
  const inputs = {
    steps: 1,
    observations: new Float32Array(widthOf(spec.observationSpace)),
    actions: spec.actionSpace.kind === "box" ? new Float32Array(width) : new Int32Array(width),
  };
  const step = { learningRate: 0, maxGradNorm: Infinity, epsilon: 1, beta1: 0, beta2: 0 };
  const { applied } = await engine.update(inputs, LIVE, () => ({ value: Float64Array.of(Number.NaN) }), step);
  if (applied) throw new SkeinError("INTERNAL", `engine ${engine.id} applied a gradient that is not finite`);
}

/**
 * Starts the engine chosen, or with `auto` the fastest that works and runs this network; `detail` says what it runs
 * on and, with `auto`, which faster ones were passed over and why. One TensorFlow.js engine a thread: the backend is shared by the whole thread.
 */
export async function createEngine(
  choice: EngineChoice,
  model: Model,
  options: EngineOptions = { threads: 0 },
): Promise<{ engine: Engine; detail: string }> {
  // tfjs-layers is imported for one side effect: it registers TensorFlow.js's gradients, which its core's
  // Node build leaves out and does not export.
  await import("@tensorflow/tfjs-layers");
  const passedOver: string[] = [];
  let failure: unknown = null;
  for (const id of choice === "auto" ? AUTO_ORDER : [choice]) {
    try {
      const started = await STARTERS[id](options);
      const engine = started.create(model);
      if (choice === "auto") {
        await tryOut(engine, model).catch((error: unknown) => {
          engine.close();
          throw error;
        });
      }
      return { engine, detail: [started.detail, ...passedOver].join("; ") };
    } catch (error) {
      failure = error;
      passedOver.push(`passed over ${id}: ${messageOf(error).replace(`engine ${id}: `, "")}`);
    }
  }
  throw failure;
}
