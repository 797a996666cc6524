/** Engines as users meet them: a library that is missing or broken, a device that is not there, threads. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { EngineProbe } from "../../core/engine/select.js";
import { Installation } from "./installation.js";

const missing = new Installation();
const broken = new Installation();
broken.addRuntime("broken");
const withoutGpu = new Installation();
withoutGpu.addRuntime("without GPU");

afterAll(() => {
  missing.remove();
  broken.remove();
  withoutGpu.remove();
});

/** Prints which engine `auto` takes for a small network, and what it says of it. */
const AUTO = `
import { createEngine } from "./dist/core/engine/select.js";
import { box, discrete } from "./dist/core/env/spaces.js";
import { createModel } from "./dist/core/model/create.js";
const spec = { kind: "mlp", hidden: [4], observationSpace: box([3], -1, 1), actionSpace: discrete(2) };
const { engine, detail } = await createEngine("auto", createModel(spec));
const inputs = { steps: 1, observations: new Float32Array(3), actions: new Int32Array(1) };
const { value } = await engine.forward(inputs, ["value"]);
engine.close();
console.log(JSON.stringify({ id: engine.id, detail, value: value[0] }));
`;

/** A network that reads a number in mid-graph: engines that trace cannot run it. */
const UNTRACEABLE = AUTO.replace(
  "createModel(spec));",
  `reading(createModel(spec)));
function reading(model) {
  const forward = (...args) => {
    const columns = model.forward(...args);
    if (columns.value) columns.value.dataSync();
    return columns;
  };
  return { ...model, forward };
}`,
);

function runFileIn({ folder }: Installation, engine: string): string {
  const run = {
    environment: { id: "CartPole-v1" },
    recipe: { params: { batchSteps: 64, epochs: 1, minibatches: 1 } },
    engine,
    actors: { processes: 1, environments: 2, fragmentSteps: 32 },
    stop: { envSteps: 128 },
  };
  writeFileSync(join(folder, "run.yaml"), stringify(run));
  return "run.yaml";
}

describe.each([
  ["missing", missing, /Cannot find module 'onnxruntime-node'/],
  ["broken", broken, /onnxruntime_binding\.node: (file too short|invalid ELF header)|not a valid/],
] as const)("where ONNX Runtime's library is %s", (_, installation, reason) => {
  it("auto falls back, computes on, and says why in one line", async () => {
    const { stdout, stderr, code } = await installation.script(AUTO);
    expect(code, stderr).toBe(0);
    const { id, detail, value } = JSON.parse(stdout) as { id: string; detail: string; value: number };
    expect(id).toMatch(/^tfjs:/);
    expect(detail).toMatch(/; passed over onnx:cpu: ONNX Runtime does not load/);
    expect(detail).toMatch(reason);
    expect(detail).not.toContain("\n");
    expect(value).toBe(0);
  });

  it("skein doctor lists every engine with its reason and the fix, and what auto takes", async () => {
    const { stdout, stderr, code } = await installation.skein("doctor", "--json");
    expect(code, stderr).toBe(0);
    expect(stderr).toBe("");
    const { engines, findings } = JSON.parse(stdout) as {
      engines: EngineProbe[];
      findings: { check: string; detail: string }[];
    };
    expect(engines.map(({ id }) => id)).toEqual([
      "onnx:cpu",
      "onnx:cuda",
      "onnx:webgpu",
      "tfjs:tensorflow",
      "tfjs:wasm",
    ]);
    for (const { id, available, detail } of engines) {
      expect(detail, id).not.toContain("\n");
      if (!id.startsWith("onnx:")) continue;
      expect(available, id).toBe(false);
      expect(detail).toMatch(reason);
      expect(detail).toContain("npm ci");
    }
    expect(findings.find(({ check }) => check === "engine: auto")!.detail).toMatch(/^takes tfjs:/);
  });

  it("a run that names the engine ends with one error: the engine, the reason, the fix", async () => {
    const { code, stdout } = await installation.skein("train", runFileIn(installation, "onnx:cpu"));
    expect(code).toBe(1);
    const errors = stdout.split("\n").filter((line) => line.startsWith("error: "));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(
      /^error: engine onnx:cpu: ONNX Runtime does not load on .*npm ci, or set engine: tfjs:wasm/,
    );
  });
});

describe("where ONNX Runtime has no library for GPUs", () => {
  it("a run on onnx:cuda ends with one error: the engine, the reason, the fix", async () => {
    const { code, stdout } = await withoutGpu.skein("train", runFileIn(withoutGpu, "onnx:cuda"));
    expect(code).toBe(1);
    expect(stdout.split("\n").filter((line) => line.startsWith("error: "))).toEqual([
      expect.stringMatching(
        /engine onnx:cuda: this installation of ONNX Runtime has no cuda provider; .*or set engine: onnx:cpu/,
      ),
    ]);
  });

  it("auto takes ONNX Runtime on the processor", async () => {
    const { stdout, stderr, code } = await withoutGpu.script(AUTO);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      id: "onnx:cpu",
      detail: expect.stringMatching(/^ONNX Runtime [\d.]+, \d+ threads$/) as string,
    });
  });
});

describe("where all is installed", () => {
  const whole = new URL("../../dist/", import.meta.url);

  it("auto passes over an engine that cannot run the network at hand, and says why", async () => {
    const line = UNTRACEABLE.split("\n").findIndex((text) => text.includes("dataSync")) + 1;
    const { stdout, stderr, code } = await missing.script(UNTRACEABLE.replaceAll("./dist/", whole.href));
    expect(code, stderr).toBe(0);
    const { id, detail } = JSON.parse(stdout) as { id: string; detail: string };
    expect(id).toMatch(/^tfjs:/);
    expect(detail).toMatch(/; passed over onnx:cpu: .*it reads the result of \w+, .*set engine: tfjs:wasm/);
    expect(detail).toContain(`script.mjs:${line})`);
  });

  it("two worker threads compute at the same time what one computes", async () => {
    const body = AUTO.replaceAll("./dist/", whole.href)
      .replace(
        "console.log(JSON.stringify({ id: engine.id, detail, value: value[0] }));",
        `(await import("node:worker_threads")).parentPort.postMessage([...sums, engine.id]);`,
      )
      .replace(
        `const { value } = await engine.forward(inputs, ["value"]);`,
        `const sums = [];
       const step = { learningRate: 0.01, maxGradNorm: 1, epsilon: 1e-5, beta1: 0.9, beta2: 0.999 };
       for (let i = 1; i <= 200; i++) {
         inputs.observations.fill(i / 200);
         await engine.update(inputs, ["value"], ({ value }) => ({ value: Float64Array.of(value[0] - 1) }), step);
         if (i % 50 === 0) sums.push((await engine.forward(inputs, ["value"])).value[0]);
       }`,
      );
    const url = new URL(`data:text/javascript,${encodeURIComponent(body)}`);
    const results = [0, 1].map(async () => {
      const worker = new Worker(url);
      return new Promise<unknown>((resolve, reject) => {
        worker.once("message", resolve).once("error", reject);
      });
    });
    const [one, other] = await Promise.all(results);
    expect(one).toEqual(other);
    expect((one as unknown[]).length).toBe(5);
  });
});
