/** Skein's side of a case: the work through the engine seam, on made-up data. */
import { createEngine, type EngineChoice } from "../core/engine/select.js";
import type { Engine, EngineInputs } from "../core/engine/engine.js";
import { widthOf } from "../core/env/spaces.js";
import { SkeinError } from "../core/errors.js";
import { createModel } from "../core/model/create.js";
import { initialWeights } from "../core/model/init.js";
import type { Model } from "../core/model/model.js";
import { Random } from "../core/random.js";
import type { Batch } from "../core/slots/batch.js";
import { evaluateTerms, liveColumns } from "../core/slots/evaluate.js";
import { resolveRecipe } from "../core/recipes/index.js";
import type { Case } from "./cases.js";
import type { Side } from "./alternate.js";

const SEED = 1;

export interface Workload extends Side {
  readonly engine: Engine;
  readonly model: Model;
  /** What the engine runs on. */
  readonly detail: string;
  /** One iteration of the case's task. */
  readonly once: () => Promise<void>;
}

function parameterCount(model: Model): number {
  return model.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function madeUpInputs({ model, sequences, sequenceLength }: Case, random: Random): EngineInputs {
  const { observationSpace, actionSpace } = model;
  if (observationSpace.kind === "multiDiscrete" || actionSpace.kind !== "discrete") {
    throw new SkeinError("INTERNAL", "bench: cases have box or discrete observations and discrete actions");
  }
  const steps = sequences * sequenceLength;
  const observation =
    observationSpace.kind === "box" ? () => random.uniform() : () => random.integer(observationSpace.n);
  return {
    steps,
    sequenceLength,
    observations: Float32Array.from({ length: steps * widthOf(observationSpace) }, observation),
    actions: Int32Array.from({ length: steps }, () => random.integer(actionSpace.n)),
  };
}

/** A sealed minibatch whose behaviour policy and old values are those of the present weights. */
async function madeUpBatch(engine: Engine, inputs: EngineInputs, random: Random): Promise<Batch> {
  const { steps } = inputs;
  const { logprob, value } = await engine.forward(inputs, ["logprob", "value"]);
  const values = Float64Array.from(value);
  const normal = (): number => random.normal();
  return {
    offsets: Uint32Array.from({ length: steps + 1 }, (_, i) => i),
    mask: new Uint8Array(steps).fill(1),
    terminated: new Uint8Array(steps),
    inputs: { ...inputs, actionMasks: inputs.actionMasks ?? null },
    initialStates: new Float32Array(0),
    finalObservations: new Float32Array(0),
    step: {
      oldLogprobs: Float64Array.from(logprob),
      values,
      advantages: Float64Array.from({ length: steps }, normal),
      returns: values.map((v) => v + random.normal()),
    },
    row: {},
  };
}

/** What the learner does with one minibatch, from normalising its advantages to Adam's step. */
function updater(engine: Engine, batch: Batch): () => Promise<void> {
  const recipe = resolveRecipe({ id: "ppo", params: {} });
  const { learningRate, maxGradNorm, adamEpsilon } = recipe.update;
  const step = { learningRate, maxGradNorm, epsilon: adamEpsilon, beta1: 0.9, beta2: 0.999 };
  const want = liveColumns(recipe);
  const context = { readings: {}, random: new Random(SEED) };
  return async () => {
    const { applied } = await engine.update(
      batch.inputs,
      want,
      (live) => evaluateTerms(recipe, batch, live, context).cotangents,
      step,
    );
    if (!applied) throw new SkeinError("INTERNAL", "bench: an update's gradient was not finite");
  };
}

async function iteration(engine: Engine, item: Case): Promise<() => Promise<void>> {
  const random = new Random(SEED);
  const inputs = madeUpInputs(item, random);
  switch (item.task) {
    case "update":
      return updater(engine, await madeUpBatch(engine, inputs, random));
    case "logprob":
      return async () => void (await engine.forward(inputs, ["logprob"]));
    case "policy":
    case "policyFromNumpy": {
      const observed = { ...inputs, actions: null };
      return async () => void (await engine.forward(observed, ["policy"]));
    }
  }
}

/** `threads`: as in EngineOptions. */
export async function openWorkload(item: Case, choice: EngineChoice, threads: number): Promise<Workload> {
  const model = createModel(item.model);
  const { engine, detail } = await createEngine(choice, model, { threads });
  try {
    engine.load(initialWeights(model, SEED));
    const once = await iteration(engine, item);
    return {
      engine,
      model,
      detail,
      parameters: parameterCount(model),
      once,
      run: async (iterations) => {
        const from = performance.now();
        for (let i = 0; i < iterations; i++) await once();
        return (performance.now() - from) / 1000;
      },
      close: async () => engine.close(),
    };
  } catch (error) {
    engine.close();
    throw error;
  }
}
