/** Training a network with memory, against its slow twin that takes one row at a time. */
import { afterAll, describe, expect, it } from "vitest";
import { tokenMean } from "../../core/algo/aggregate.js";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import { Random } from "../../core/random.js";
import { stepColumn, type Batch } from "../../core/slots/batch.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { trainBatch } from "../../services/learner/train-batch.js";
import {
  accumulator,
  CHOICES,
  KEPT,
  logprobsOf,
  NUMBERS,
  remember,
  SEEN,
  snapshotOf,
  valueOf,
  type Numbers,
} from "../model/accumulator.js";
import { contextOf } from "./training-fixture.js";

const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.close()));

async function engineAt(): Promise<Engine> {
  const { engine } = await createEngine("tfjs:wasm", accumulator);
  engine.load(snapshotOf(NUMBERS));
  engines.push(engine);
  return engine;
}

/** Rows of the lengths given, each with memory from before; actions are among those allowed. */
function memoryBatch(random: Random, lengths: readonly number[], masks = true): Batch {
  const offsets = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, i) => (offsets[i + 1] = offsets[i]! + length));
  const [rows, steps] = [lengths.length, offsets[lengths.length]!];
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const wide = (length: number): Float64Array => Float64Array.from(normals(length));
  const actions = Int32Array.from({ length: steps }, () => random.integer(CHOICES));
  const actionMasks = Uint8Array.from({ length: steps * CHOICES }, (_, k) =>
    actions[Math.floor(k / CHOICES)] === k % CHOICES ? 1 : random.integer(2),
  );
  return {
    offsets,
    mask: Uint8Array.from({ length: steps }, () => (random.uniform() < 0.2 ? 0 : 1)),
    terminated: new Uint8Array(rows),
    inputs: { steps, observations: normals(steps * SEEN), actions, actionMasks: masks ? actionMasks : null },
    initialStates: normals(rows * KEPT),
    finalObservations: normals(rows * SEEN),
    step: { weights: wide(steps), targets: wide(steps) },
    row: {},
  };
}

interface Seen {
  readonly memory: readonly number[];
  /** Logarithms of the probabilities of all actions. */
  readonly logprobs: readonly number[];
  readonly value: number;
}

/** Every step of every row, then what the row's final observation shows. */
function lookThrough(numbers: Numbers, batch: Batch): { readonly steps: Seen[]; readonly finals: Seen[] } {
  const part = (array: ArrayLike<number>, at: number, width: number): number[] =>
    Array.from({ length: width }, (_, k) => array[at * width + k]!);
  const { observations, actionMasks } = batch.inputs;
  const [steps, finals]: [Seen[], Seen[]] = [[], []];
  for (let row = 0; row + 1 < batch.offsets.length; row++) {
    let memory = part(batch.initialStates, row, KEPT);
    const look = (seen: number[], mask?: number[]): Seen => {
      memory = remember(numbers, memory, seen);
      return { memory, logprobs: logprobsOf(numbers, memory, mask), value: valueOf(numbers, memory) };
    };
    for (let t = batch.offsets[row]!; t < batch.offsets[row + 1]!; t++) {
      steps.push(
        look(part(observations, t, SEEN), actionMasks === null ? undefined : part(actionMasks, t, CHOICES)),
      );
    }
    finals.push(look(part(batch.finalObservations, row, SEEN)));
  }
  return { steps, finals };
}

const UPDATE = {
  ...{ epochs: 1, minibatches: 1, minibatchesOf: "steps" as const, learningRate: 0.01, anneal: false },
  ...{ maxGradNorm: Infinity, adamEpsilon: 1e-8, targetKl: null },
};

/** loss = mean of w·log π + ½(v − target)² − 0.1·entropy over the chosen steps. */
const RECIPE: Recipe = {
  requires: [],
  ...{ id: "probe", sampler: { batchSteps: 1 }, evaluate: ["value", "logprob"], derive: [], trackers: {} },
  terms: [
    {
      ...{ id: "policy", on: "logprob", coefficient: 1, aggregator: tokenMean(), needs: ["weights"] },
      evaluate(logprobs, batch, out) {
        const weights = stepColumn(batch, "weights");
        logprobs.forEach((x, k) => ([out.loss[k], out.gate[k]] = [weights[k]! * x, weights[k]!]));
        return {};
      },
    },
    {
      ...{ id: "value", on: "value", coefficient: 0.5, aggregator: tokenMean(), needs: ["targets"] },
      evaluate(values, batch, out) {
        const targets = stepColumn(batch, "targets");
        values.forEach((v, k) => {
          const error = v - targets[k]!;
          [out.loss[k], out.gate[k]] = [error * error, 2 * error];
        });
        return {};
      },
    },
    {
      ...{ id: "entropy", on: "entropy", coefficient: -0.1, aggregator: tokenMean(), needs: [] },
      evaluate(entropies, _batch, out) {
        entropies.forEach((h, k) => ([out.loss[k], out.gate[k]] = [h, 1]));
        return {};
      },
    },
  ],
  update: UPDATE,
};

function slowLoss(numbers: Numbers, batch: Batch): number {
  let [sum, chosen] = [0, 0];
  lookThrough(numbers, batch).steps.forEach(({ logprobs, value }, k) => {
    if (batch.mask[k] === 0) return;
    chosen++;
    const logprob = logprobs[batch.inputs.actions![k]!]!;
    const entropy = -logprobs.reduce((h, l) => h + (l === -Infinity ? 0 : Math.exp(l) * l), 0);
    const { weights, targets } = batch.step as { weights: Float64Array; targets: Float64Array };
    sum += weights[k]! * logprob + 0.5 * (value - targets[k]!) ** 2 - 0.1 * entropy;
  });
  return sum / chosen;
}

const LENGTHS = [3, 1, 7, 2, 7, 4];

describe("a batch for a network with memory", () => {
  it.each([
    ["masked", true],
    ["not masked", false],
  ])(
    "is evaluated row by row from the memory each began with, final observations included (%s)",
    async (_, masks) => {
      const batch = memoryBatch(new Random(1), LENGTHS, masks);
      let sealed: Batch | undefined;
      const looking: Recipe = {
        ...RECIPE,
        derive: [
          {
            ...{ id: "look", when: "seal", needs: ["values", "proximalLogprobs"], writes: [] },
            run: (given) => {
              sealed = given;
              return {};
            },
          },
        ],
      };
      await trainBatch(await engineAt(), looking, batch, contextOf(0, new Random(1)));
      const { steps, finals } = lookThrough(NUMBERS, batch);
      steps.forEach(({ value, logprobs }, k) => {
        expect(sealed!.step["values"]![k]).toBeCloseTo(value, 4);
        expect(sealed!.step["proximalLogprobs"]![k]).toBeCloseTo(logprobs[batch.inputs.actions![k]!]!, 4);
      });
      expect(sealed!.row["bootstrapValues"]).toHaveLength(finals.length);
      finals.forEach(({ value }, row) => expect(sealed!.row["bootstrapValues"]![row]).toBeCloseTo(value, 4));
    },
  );

  it("gives the same values in many pieces as in one", async () => {
    const lengths = Array.from({ length: 1500 }, (_, k) => 1 + (k % 7));
    const batch = memoryBatch(new Random(2), lengths, false);
    expect(batch.inputs.steps).toBeGreaterThan(4096);
    let values: Float64Array | undefined;
    const looking: Recipe = {
      ...RECIPE,
      derive: [
        {
          ...{ id: "look", when: "seal", needs: ["values"], writes: [] },
          run: (given) => {
            values = given.step["values"];
            return {};
          },
        },
      ],
    };
    await trainBatch(await engineAt(), looking, batch, contextOf(0, new Random(1)));
    const { steps } = lookThrough(NUMBERS, batch);
    expect(Math.max(...steps.map(({ value }, k) => Math.abs(value - values![k]!)))).toBeLessThan(1e-3);
  });

  it.each([
    ["masked", true],
    ["not masked", false],
  ])(
    "pulls gradients back through rows of unequal length as central differences find them (%s)",
    async (_, masks) => {
      const batch = memoryBatch(new Random(3), LENGTHS, masks);
      const engine = await engineAt();
      const { stats } = await trainBatch(engine, RECIPE, batch, contextOf(0, new Random(1)));
      expect(stats["loss"]).toBeCloseTo(slowLoss(NUMBERS, batch), 4);
      // Adam's first moment after one step is a tenth of the gradient.
      const moments = new Map(engine.optimizerState().tensors.map(({ name, data }) => [name, data]));
      const h = 1e-5;
      for (const name of Object.keys(NUMBERS) as (keyof Numbers)[]) {
        NUMBERS[name].forEach((_number, k) => {
          const at = (shift: number): number =>
            slowLoss({ ...NUMBERS, [name]: NUMBERS[name].map((x, j) => (j === k ? x + shift : x)) }, batch);
          const slope = (at(h) - at(-h)) / (2 * h);
          expect(10 * moments.get(`m/${name}`)![k]!, `${name}[${k}]`).toBeCloseTo(slope, 3);
        });
      }
    },
  );

  it("is trained on in minibatches of whole rows, each row once an epoch", async () => {
    const batch = memoryBatch(new Random(4), LENGTHS);
    // Weights name the steps, so that a minibatch shows which it holds.
    const named: Batch = {
      ...batch,
      step: { ...batch.step, weights: Float64Array.from({ length: batch.inputs.steps }, (_, k) => k) },
    };
    const epochs: number[][][] = [[], []];
    const looking: Recipe = {
      ...RECIPE,
      update: { ...UPDATE, epochs: 2, minibatches: 3 },
      derive: [
        {
          ...{ id: "look", when: "step", needs: ["weights"], writes: [] },
          run: (minibatch) => {
            const epoch = epochs[0]!.flat().length < batch.inputs.steps ? epochs[0]! : epochs[1]!;
            epoch.push([...minibatch.step["weights"]!]);
            for (let row = 0; row + 1 < minibatch.offsets.length; row++) {
              const first = minibatch.step["weights"]![minibatch.offsets[row]!]!;
              const whole = batch.offsets.indexOf(first);
              expect(whole).toBeGreaterThanOrEqual(0);
              expect(minibatch.offsets[row + 1]! - minibatch.offsets[row]!).toBe(LENGTHS[whole]);
            }
            return {};
          },
        },
      ],
    };
    const { updates } = await trainBatch(await engineAt(), looking, named, contextOf(0.001, new Random(5)));
    expect(updates).toBe(epochs.flat().length);
    expect(updates).toBeGreaterThan(2);
    const all = Array.from({ length: batch.inputs.steps }, (_, k) => k);
    for (const epoch of epochs) expect(epoch.flat().sort((a, b) => a - b)).toEqual(all);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });
});
