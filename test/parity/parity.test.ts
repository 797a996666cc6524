/**
 * One suite for every engine: columns, gradients and training against the float64 oracle, gradients against central
 * differences, and checkpoints across engines. An engine that this machine lacks is skipped with its reason.
 */
import { describe, expect, it } from "vitest";
import type { Columns, Cotangents, Engine, LiveColumn, OptimizerStep } from "../../core/engine/engine.js";
import { createEngine, probeEngines } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import type { OutputColumn } from "../../core/model/model.js";
import { Random } from "../../core/random.js";
import type { NamedTensor, WeightsSnapshot } from "../../core/types.js";
import { parityCases, type ParityCase } from "./cases.js";

/**
 * Largest |got − want|, relative to the tensor's largest |want|. Each is ten times what PyTorch's own float32 keeps
 * within (README.md). A gradient that has nearly vanished is a difference of large numbers: its norm is less exact.
 */
const TOLERANCE = { column: 1e-5, gradient: 2e-5, training: 5e-5, trainingGradNorm: 1e-3 };
/** Central differences in float32: the columns' rounding over the step, and kinks of relu within it. */
const DIFFERENCE = { step: 2e-3, tolerance: 3e-2 };

type Live = keyof ParityCase["cotangents"];
const LIVE: readonly Live[] = ["logprob", "entropy", "value"];
/** Where a policy's masked logits are, near −1e9. */
const MASKED = 1e8;

/** With β1 = 0, Adam's first moment is the clipped gradient. */
const GRADIENT_IN_MOMENT: Omit<OptimizerStep, "maxGradNorm"> = {
  learningRate: 1e-3,
  epsilon: 1e-5,
  beta1: 0,
  beta2: 0.999,
};

type Numbers = ArrayLike<number>;

/** max |got − want| / max(|want|, largest ordinary |want|); NaN where a number is. */
function scaledError(got: Numbers, want: Numbers): number {
  expect(got.length).toBe(want.length);
  const size = Array.from(want, Math.abs);
  const largest = size.reduce((a, x) => (x < MASKED ? Math.max(a, x) : a), 1e-30);
  return size.reduce(
    (worst, x, i) => Math.max(worst, Math.abs(got[i]! - want[i]!) / Math.max(x, largest)),
    0,
  );
}

function expectTensors(got: readonly NamedTensor[], want: readonly NamedTensor[], tolerance: number): void {
  expect(got.map(({ name }) => name).sort()).toEqual(want.map(({ name }) => name).sort());
  const byName = new Map(got.map(({ name, data }) => [name, data]));
  for (const { name, data } of want) {
    expect(scaledError(byName.get(name)!, data), name).toBeLessThan(tolerance);
  }
}

/** Runs `use` on an engine holding the case's weights. One engine at a time: a thread has one TensorFlow.js backend. */
async function withEngine<T>(
  id: EngineId,
  parityCase: ParityCase,
  use: (e: Engine) => Promise<T>,
): Promise<T> {
  const { engine } = await createEngine(id, createModel(parityCase.spec));
  try {
    engine.load(parityCase.weights);
    return await use(engine);
  } finally {
    engine.close();
  }
}

/** Every parameter's gradient of Σ cotangent·column, clipped, and their norm before. Takes an optimiser step. */
async function gradientsOf(
  engine: Engine,
  { inputs, cotangents }: ParityCase,
  { want = LIVE, maxGradNorm = Infinity }: { want?: readonly Live[]; maxGradNorm?: number } = {},
): Promise<{ gradients: readonly NamedTensor[]; gradNorm: number }> {
  const wanted = Object.fromEntries(want.map((name) => [name, cotangents[name]]));
  const { gradNorm } = await engine.update(inputs, want, () => wanted, {
    ...GRADIENT_IN_MOMENT,
    maxGradNorm,
  });
  const gradients = engine
    .optimizerState()
    .tensors.filter(({ name }) => name.startsWith("m/"))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(2) }));
  return { gradients, gradNorm };
}

function trainingCotangents({ training, inputs }: ParityCase, live: Columns<LiveColumn>): Cotangents {
  return {
    logprob: training.logprobWeights,
    entropy: new Float64Array(inputs.steps).fill(training.entropyWeight),
    value: training.valueTargets.map((target, i) => (live.value![i]! - target) / inputs.steps),
  };
}

/** Takes `updates` steps of the case's training run; returns the gradient norm of each. */
async function train(engine: Engine, parityCase: ParityCase, updates: number): Promise<number[]> {
  const norms: number[] = [];
  for (let i = 0; i < updates; i++) {
    const cotangents = (live: Columns<LiveColumn>): Cotangents => trainingCotangents(parityCase, live);
    const stats = await engine.update(parityCase.inputs, LIVE, cotangents, parityCase.training.step);
    norms.push(stats.gradNorm);
  }
  return norms;
}

function moved(weights: WeightsSnapshot, name: string, direction: Float64Array, by: number): WeightsSnapshot {
  const tensors = weights.tensors.map((t) =>
    t.name === name ? { ...t, data: Float32Array.from(t.data, (x, i) => x + by * direction[i]!) } : t,
  );
  return { ...weights, tensors };
}

const cases = parityCases();
const probes = await probeEngines();
type EngineId = (typeof probes)[number]["id"];
const available = probes.filter((probe) => probe.available);

describe.each(probes)("engine $id", ({ id, available: works, detail }) => {
  if (!works) {
    it.skip(`unavailable: ${detail}`);
    return;
  }

  describe.each(cases)("$name", (parityCase) => {
    const { inputs, columns, gradients, gradNorm, training, weights, cotangents } = parityCase;

    it("computes the columns of the float64 oracle", async () => {
      const want: OutputColumn[] = [...columns.keys()];
      const got = await withEngine(id, parityCase, (engine) => engine.forward(inputs, want));
      for (const [name, expected] of columns) {
        expect(scaledError(got[name], expected), name).toBeLessThan(TOLERANCE.column);
      }
    });

    it("computes each column alone as it does with the others", async () => {
      await withEngine(id, parityCase, async (engine) => {
        for (const [name, expected] of columns) {
          const actions = name === "logprob" ? inputs.actions : null;
          const alone = await engine.forward({ ...inputs, actions }, [name]);
          expect(scaledError(alone[name], expected), name).toBeLessThan(TOLERANCE.column);
        }
      });
    });

    it("pulls cotangents back to the gradients of the float64 oracle", async () => {
      const got = await withEngine(id, parityCase, (engine) => gradientsOf(engine, parityCase));
      expectTensors(got.gradients, gradients, TOLERANCE.gradient);
      expect(scaledError([got.gradNorm], [gradNorm])).toBeLessThan(TOLERANCE.gradient);
    });

    it("scales the whole gradient down to the norm allowed", async () => {
      const maxGradNorm = gradNorm / 3;
      const got = await withEngine(id, parityCase, (engine) =>
        gradientsOf(engine, parityCase, { maxGradNorm }),
      );
      const scale = maxGradNorm / (gradNorm + 1e-6);
      const clipped = gradients.map((t) => ({ ...t, data: Float32Array.from(t.data, (g) => g * scale) }));
      expectTensors(got.gradients, clipped, TOLERANCE.gradient);
      expect(scaledError([got.gradNorm], [gradNorm])).toBeLessThan(TOLERANCE.gradient);
    });

    it("pulls the cotangents of one column at a time back to gradients that add up to the oracle's", async () => {
      const sum = new Map(gradients.map(({ name, data }) => [name, new Float64Array(data.length)]));
      for (const column of LIVE) {
        const part = await withEngine(id, parityCase, (engine) =>
          gradientsOf(engine, parityCase, { want: [column] }),
        );
        for (const { name, data } of part.gradients) {
          const total = sum.get(name)!;
          for (let i = 0; i < total.length; i++) total[i]! += data[i]!;
        }
      }
      for (const { name, data } of gradients) {
        expect(scaledError(sum.get(name)!, data), name).toBeLessThan(TOLERANCE.gradient);
      }
    });

    it("agrees with central differences of its own columns along a random direction of every parameter", async () => {
      await withEngine(id, parityCase, async (engine) => {
        const { gradients: own } = await gradientsOf(engine, parityCase);
        const objective = async (at: WeightsSnapshot): Promise<number> => {
          engine.load(at);
          const live = await engine.forward(inputs, LIVE);
          return LIVE.reduce((sum, c) => live[c].reduce((s, x, i) => s + x * cotangents[c][i]!, sum), 0);
        };
        const random = new Random(7);
        for (const { name, data } of own) {
          const direction = Float64Array.from(data, () => random.normal());
          const analytic = direction.reduce((sum, x, i) => sum + x * data[i]!, 0);
          const h = DIFFERENCE.step / Math.hypot(...direction);
          const above = await objective(moved(weights, name, direction, h));
          const below = await objective(moved(weights, name, direction, -h));
          const error = Math.abs((above - below) / (2 * h) - analytic) / Math.hypot(...data);
          expect(error, name).toBeLessThan(DIFFERENCE.tolerance);
        }
      });
    });

    it(`stays with the float64 oracle over ${training.updates} Adam steps`, async () => {
      await withEngine(id, parityCase, async (engine) => {
        const norms = await train(engine, parityCase, training.updates);
        expectTensors(engine.weights(0).tensors, training.trained, TOLERANCE.training);
        for (const [update, norm] of training.gradNorms) {
          const error = scaledError([norms[update - 1]!], [norm]);
          expect(error, `gradient norm of update ${update}`).toBeLessThan(TOLERANCE.trainingGradNorm);
        }
      });
    });
  });
});

const handedOver = cases.find(({ name }) => name === "mlp-multi-discrete-masks")!;
const pairs = available.flatMap((from) => available.map((to) => ({ from: from.id, to: to.id })));

describe.each(pairs)("a checkpoint of $from", ({ from, to }) => {
  it(`goes on in ${to} to where the float64 oracle ends`, async () => {
    const half = handedOver.training.updates / 2;
    const saved = await withEngine(from, handedOver, async (engine) => {
      await train(engine, handedOver, half);
      return { weights: engine.weights(half), optimizer: engine.optimizerState() };
    });
    expect(saved.optimizer.steps).toBe(half);
    const end = await withEngine(to, handedOver, async (engine) => {
      engine.load(saved.weights);
      engine.loadOptimizerState(saved.optimizer);
      await train(engine, handedOver, half);
      return engine.weights(2 * half);
    });
    expectTensors(end.tensors, handedOver.training.trained, TOLERANCE.training);
  });
});
