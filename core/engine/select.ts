/** Which engine runs: what is installed, what works, and why not. */
import { createRequire } from "node:module";
import { messageOf, SkeinError } from "../errors.js";
import type { Model } from "../model/model.js";
import type { RunConfig } from "../config/schema.js";
import type { Engine } from "./engine.js";

export type EngineChoice = RunConfig["engine"];
type EngineId = Exclude<EngineChoice, "auto">;

export interface EngineProbe {
  readonly id: EngineId;
  readonly available: boolean;
  /** What it runs on, or why it cannot. */
  readonly detail: string;
}

/** Packages that bring native TensorFlow, best first. All optional. */
const NATIVE_PACKAGES = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;

/** Makes native TensorFlow the active backend; returns the package used. Throws with each package's reason. */
async function useNativeTensorflow(): Promise<string> {
  const reasons: string[] = [];
  const tf = await import("@tensorflow/tfjs-core");
  for (const name of NATIVE_PACKAGES) {
    try {
      createRequire(import.meta.url)(name);
      if (!(await tf.setBackend("tensorflow"))) throw new Error("the TensorFlow backend did not start");
      // It can load and still not run: its version 4.22 calls functions that Node.js 23 removed.
      tf.tidy(() => tf.matMul(tf.ones([1, 1]), tf.ones([1, 1])).dataSync());
      return name;
    } catch (error) {
      const missing =
        (error as { code?: unknown }).code === "MODULE_NOT_FOUND" && messageOf(error).includes(`'${name}'`);
      reasons.push(
        missing ? `${name} is not installed` : `${name}: ${messageOf(error).split("\n")[0] ?? ""}`,
      );
    }
  }
  throw new SkeinError(
    "ENGINE_UNAVAILABLE",
    `engine tfjs:tensorflow: ${reasons.join("; ")}. Install one with npm, or set engine: tfjs:wasm`,
  );
}

/** Makes WebAssembly the active backend. */
async function useWasm(): Promise<string> {
  // The WebAssembly loader installs handlers that rethrow every uncaught error; errors are handled by the mains.
  const before = {
    uncaughtException: new Set(process.listeners("uncaughtException")),
    unhandledRejection: new Set(process.listeners("unhandledRejection")),
  };
  const tf = await import("@tensorflow/tfjs-core");
  await import("@tensorflow/tfjs-backend-wasm");
  if (!(await tf.setBackend("wasm"))) {
    throw new SkeinError(
      "ENGINE_UNAVAILABLE",
      "engine tfjs:wasm: the WebAssembly backend did not start; reinstall with npm ci",
    );
  }
  await tf.ready();
  for (const listener of process.listeners("uncaughtException")) {
    if (!before.uncaughtException.has(listener)) process.removeListener("uncaughtException", listener);
  }
  for (const listener of process.listeners("unhandledRejection")) {
    if (!before.unhandledRejection.has(listener)) process.removeListener("unhandledRejection", listener);
  }
  return (await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")) === true
    ? "WebAssembly with SIMD"
    : "WebAssembly without SIMD";
}

const STARTERS: Record<EngineId, () => Promise<string>> = {
  "tfjs:tensorflow": useNativeTensorflow,
  "tfjs:wasm": useWasm,
};

/** The engines `auto` tries, in order. */
const ENGINE_IDS: readonly EngineId[] = ["tfjs:tensorflow", "tfjs:wasm"];

/** Tries every engine; changes the active backend. */
export async function probeEngines(): Promise<EngineProbe[]> {
  const probes: EngineProbe[] = [];
  for (const id of ENGINE_IDS) {
    try {
      probes.push({ id, available: true, detail: await STARTERS[id]() });
    } catch (error) {
      probes.push({ id, available: false, detail: messageOf(error) });
    }
  }
  return probes;
}

/**
 * Starts the engine chosen, or with `auto` the first that works. One engine a thread: the backend is shared by
 * the whole thread.
 */
export async function createEngine(
  choice: EngineChoice,
  model: Model,
): Promise<{ engine: Engine; detail: string }> {
  // tfjs-layers is imported for one side effect: it registers TensorFlow.js's gradients, which its core's
  // Node build leaves out and does not export.
  await import("@tensorflow/tfjs-layers");
  const { TfjsEngine } = await import("./tfjs.js");
  let failure: unknown = null;
  for (const id of choice === "auto" ? ENGINE_IDS : [choice]) {
    try {
      const detail = await STARTERS[id]();
      return { engine: new TfjsEngine(id, model), detail };
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
