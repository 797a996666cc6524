// `npm run check:gpu`: on a machine with a CUDA or WebGPU device, the parity suite and the engine's benchmark on it.
// A machine without one is a reason to skip, or with --require to fail. What such a machine needs: docs/gpu.md.
import { engines, fail, run, skip, testOn } from "./checking.mjs";

const GPU = ["onnx:cuda", "onnx:webgpu"];
/** A device made of software, as one tests with, is slow. */
const MINUTES_PER_TEST = 15;

const found = engines();
// TensorFlow.js on tfjs-node-gpu runs on the device wherever it finds one.
const native = found.find(({ id }) => id === "tfjs:tensorflow");
const onGpu = [
  ...found.filter(({ id, available }) => GPU.includes(id) && available).map(({ id }) => id),
  ...(native.available && native.detail.includes("tfjs-node-gpu") ? [native.id] : []),
];
if (onGpu.length === 0) skip("no engine of this machine runs on a GPU; docs/gpu.md says what each needs");

testOn(onGpu, ["test/parity", "test/engine"], {}, [`--testTimeout=${MINUTES_PER_TEST * 60_000}`]);
for (const id of onGpu) {
  if (!run("npm", ["run", "--silent", "bench", "--", "engine", "--engine", id, "--json"])) {
    fail(`the benchmark failed on ${id}`);
  }
}
console.log(`${onGpu.join(", ")} passed`);
