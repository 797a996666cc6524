/** What the compiled engine promises beyond the seam: padding that cannot be seen, few programs, memory given back. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type {
  Cotangents,
  Engine,
  EngineInputs,
  LiveColumn,
  OptimizerStep,
} from "../../core/engine/engine.js";
import { Runtime } from "../../core/engine/onnx/runtime.js";
import { createEngine } from "../../core/engine/select.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { ModelSpec } from "../../core/model/model.js";
import { Random } from "../../core/random.js";

const LIVE: readonly LiveColumn[] = ["logprob", "entropy", "value"];
const MLP: ModelSpec = {
  kind: "mlp",
  hidden: [16],
  observationSpace: box([3], -1, 1),
  actionSpace: discrete(4),
};
const GRU: ModelSpec = { ...MLP, kind: "gru", units: 5 };
/** With β1 = 0 and no clipping, Adam's first moment is the gradient. */
const STEP: OptimizerStep = {
  learningRate: 1e-3,
  maxGradNorm: Infinity,
  epsilon: 1e-5,
  beta1: 0,
  beta2: 0.999,
};
const MEBIBYTE = 2 ** 20;

function inputsOf(steps: number, sequenceLength = 1): EngineInputs {
  const random = new Random(steps);
  return {
    steps,
    sequenceLength,
    observations: Float32Array.from({ length: steps * 3 }, () => random.normal()),
    actions: Int32Array.from({ length: steps }, () => random.integer(4)),
    actionMasks: null,
    states: null,
  };
}

function cotangentsOf(steps: number): Cotangents {
  const random = new Random(99);
  const draw = (): Float64Array => Float64Array.from({ length: steps }, () => random.normal());
  return { logprob: draw(), entropy: draw(), value: draw() };
}

async function engineOf(id: "onnx:cpu" | "tfjs:wasm", spec: ModelSpec): Promise<Engine> {
  const model = createModel(spec);
  const { engine } = await createEngine(id, model, { threads: 1 });
  engine.load(initialWeights(model, 5));
  return engine;
}

/** Columns and, from a first update, every parameter's gradient. */
async function everything(engine: Engine, inputs: EngineInputs): Promise<Float32Array[]> {
  const columns = await engine.forward(inputs, [...LIVE, "policy"]);
  await engine.update(inputs, LIVE, () => cotangentsOf(inputs.steps), STEP);
  const gradients = engine.optimizerState().tensors.filter(({ name }) => name.startsWith("m/"));
  return [...Object.values(columns), ...gradients.map(({ data }) => data as Float32Array)];
}

function expectClose(got: readonly Float32Array[], want: readonly Float32Array[]): void {
  expect(got.map(({ length }) => length)).toEqual(want.map(({ length }) => length));
  want.forEach((array, k) => {
    const largest = array.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
    array.forEach((x, i) => expect(Math.abs(got[k]![i]! - x) / largest).toBeLessThan(2e-5));
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the compiled engine", () => {
  it.each([1, 2, 17, 29, 57, 100])(
    "gives %i steps what an engine that pads nothing gives them",
    async (steps) => {
      const [compiled, eager] = [await engineOf("onnx:cpu", MLP), await engineOf("tfjs:wasm", MLP)];
      const inputs = inputsOf(steps);
      const got = await everything(compiled, inputs);
      expectClose(got, await everything(eager, inputs));
      for (const engine of [compiled, eager]) engine.close();
    },
  );

  it("pads whole sequences, and gives each its memory back", async () => {
    const [compiled, eager] = [await engineOf("onnx:cpu", GRU), await engineOf("tfjs:wasm", GRU)];
    const inputs = { ...inputsOf(29 * 3, 3), states: new Float32Array(29 * 5).fill(0.3) };
    const want = await eager.forward(inputs, ["state", "value"]);
    const got = await compiled.forward(inputs, ["state", "value"]);
    expectClose([got.state, got.value], [want.state, want.value]);
    expectClose(await everything(compiled, inputs), await everything(eager, inputs));
    for (const engine of [compiled, eager]) engine.close();
  });

  it("leaves no trace of a longer batch in the padding of a shorter one", async () => {
    const [used, fresh] = [await engineOf("onnx:cpu", MLP), await engineOf("onnx:cpu", MLP)];
    await used.forward(inputsOf(18), LIVE);
    await used.update(inputsOf(18), LIVE, () => ({ value: new Float64Array(18).fill(Number.NaN) }), STEP);
    expect(await everything(used, inputsOf(17))).toEqual(await everything(fresh, inputsOf(17)));
    for (const engine of [used, fresh]) engine.close();
  });

  it("compiles once for all batches that are padded to one size", async () => {
    const engine = await engineOf("onnx:cpu", MLP);
    const compile = vi.spyOn(Runtime.prototype, "compile");
    for (const steps of [113, 120, 119, 114]) await everything(engine, inputsOf(steps));
    // One program forward, two parts of an update.
    expect(compile).toHaveBeenCalledTimes(3);
    engine.close();
  });

  it("names both shapes where steps are no whole sequences", async () => {
    const engine = await engineOf("onnx:cpu", GRU);
    await expect(engine.forward({ ...inputsOf(7), sequenceLength: 3 }, ["value"])).rejects.toMatchObject({
      code: "SHAPE",
      message: expect.stringContaining("whole sequences of 3 steps, got 7 steps") as string,
    });
    engine.close();
  });
});

describe("memory of the compiled engine", () => {
  /** 0.3 M parameters: an update writes 3.6 MB of weights and moments. */
  const WIDE: ModelSpec = { ...MLP, kind: "mlp", hidden: [512, 512] };

  it("does not grow with updates, forwards and swaps of weights", async () => {
    const engine = await engineOf("onnx:cpu", WIDE);
    const weights = engine.weights(0);
    const once = async (): Promise<void> => {
      await everything(engine, inputsOf(8));
      engine.load(weights);
    };
    for (let i = 0; i < 50; i++) await once();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 200; i++) await once();
    // Were one array of the parameters' size left behind each time, it would be 240 MiB.
    expect((process.memoryUsage().rss - before) / MEBIBYTE).toBeLessThan(120);
    engine.close();
  });

  it("is given back when an engine is closed, even where the engine is still held", async () => {
    const inputs = inputsOf(16_384);
    const closed: Engine[] = [];
    const openAndClose = async (): Promise<void> => {
      const { engine } = await createEngine("onnx:cpu", createModel({ ...MLP, hidden: [256] }), {
        threads: 1,
      });
      await engine.update(inputs, LIVE, () => cotangentsOf(inputs.steps), STEP);
      engine.close();
      closed.push(engine);
    };
    for (let i = 0; i < 4; i++) await openAndClose();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 12; i++) await openAndClose();
    // What one program carries from its first part to its second is 16,384 × 256 numbers and more: 16 MiB.
    expect((process.memoryUsage().rss - before) / MEBIBYTE).toBeLessThan(150);
  });
});
