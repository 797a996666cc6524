/** TensorFlow.js's computing backends: makes one active, or says why it cannot. */
import { createRequire } from "node:module";
import { messageOf, SkeinError } from "../errors.js";

/** Packages that bring native TensorFlow, best first. All optional. */
const NATIVE_PACKAGES = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;

/** Makes native TensorFlow the active backend; returns the package used. Throws with each package's reason. */
export async function useNativeTensorflow(): Promise<string> {
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
export async function useWasm(): Promise<string> {
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
