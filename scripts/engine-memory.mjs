// How much resident memory an engine takes for networks of about 10 k, 1 M and 10 M parameters (docs/engine.md):
//   npm run build && node scripts/engine-memory.mjs [engine, default onnx:cpu]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROWS = 256;
const UPDATES = 20;
/** Actor and critic have two hidden layers of this width each, 64 numbers observed, 4 actions. */
const HIDDEN = [45, 676, 2205];
const LIVE = ["logprob", "entropy", "value"];

const residentBytes = () => {
  globalThis.gc();
  return process.memoryUsage.rss();
};

/** In a process of its own, since memory once taken is seldom given back. */
async function measure(id, width) {
  const [{ createEngine }, { createModel }, { box, discrete }] = await Promise.all(
    ["engine/select.js", "model/create.js", "env/spaces.js"].map((file) => import(`../dist/core/${file}`)),
  );
  const model = (hidden) =>
    createModel({ kind: "mlp", hidden, observationSpace: box([64], -1, 1), actionSpace: discrete(4) });
  const inputs = { steps: ROWS, observations: new Float32Array(ROWS * 64), actions: new Int32Array(ROWS) };
  const cotangents = () => ({ value: new Float64Array(ROWS).fill(1 / ROWS) });
  const step = { learningRate: 1e-3, maxGradNorm: 1, epsilon: 1e-5, beta1: 0.9, beta2: 0.999 };
  const update = (engine) => engine.update(inputs, LIVE, cotangents, step);
  // Loads every library before the first measurement.
  await update((await createEngine(id, model([1]))).engine);
  const network = model([width, width]);
  const before = residentBytes();
  const { engine } = await createEngine(id, network);
  const created = residentBytes();
  for (let i = 0; i < UPDATES; i++) await update(engine);
  const updated = residentBytes();
  const parameters = network.parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  console.log(JSON.stringify({ parameters, before, created, updated }));
}

const [id = "onnx:cpu", width] = process.argv.slice(2);
if (width !== undefined) {
  await measure(id, Number(width));
} else {
  console.log("| parameters | before | engine made | 20 updates of 256 rows | bytes a parameter |");
  console.log("| ---------- | ------ | ----------- | ---------------------- | ----------------- |");
  const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  for (const hidden of HIDDEN) {
    const args = ["--expose-gc", fileURLToPath(import.meta.url), id, String(hidden)];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    const { parameters, before, created, updated } = JSON.parse(stdout);
    const perParameter = ((updated - before) / parameters).toFixed(0);
    const cells = [before, created, updated].map(mebibytes);
    console.log(`| ${[parameters.toLocaleString("en"), ...cells, perParameter].join(" | ")} |`);
  }
}
