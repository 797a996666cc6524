/** A network on the WebAssembly engine with lively weights, tiny inputs for it, and both as the reference takes them. */
import type { Engine, EngineInputs } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import { widthOf, type Space } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { ModelSpec } from "../../core/model/model.js";
import { Random } from "../../core/random.js";
import type { WeightsSnapshot } from "../../core/types.js";
import type { ReferenceInputs, Weights } from "./reference.js";

/** Weights of every parameter drawn anew: no zeros, no ones, no symmetry. */
export function livelyWeights(spec: ModelSpec, seed: number): WeightsSnapshot {
  const random = new Random(seed);
  const start = initialWeights(createModel(spec), seed);
  return {
    version: 0,
    tensors: start.tensors.map((t) => ({
      ...t,
      data: Float32Array.from(t.data, (x) => 0.5 * x + 0.4 * random.normal()),
    })),
  };
}

export async function engineFor(spec: ModelSpec, weights: WeightsSnapshot): Promise<Engine> {
  const { engine } = await createEngine("tfjs:wasm", createModel(spec));
  engine.load(weights);
  return engine;
}

function elementOf(space: Space, random: Random): number[] {
  switch (space.kind) {
    case "discrete":
      return [random.integer(space.n)];
    case "multiDiscrete":
      return space.sizes.map((size) => random.integer(size));
    case "box":
      return space.high.map((high) => (high === 255 ? random.integer(256) : random.normal()));
  }
}

/** Masks that allow the action taken and about half of the others; none for real-valued actions. */
function maskFor(space: Space, action: readonly number[], random: Random): number[] {
  if (space.kind === "box") return [];
  const sizes = space.kind === "discrete" ? [space.n] : space.sizes;
  return sizes.flatMap((size, k) =>
    Array.from({ length: size }, (_, a) => (a === action[k] ? 1 : random.integer(2))),
  );
}

export interface Case {
  readonly engine: EngineInputs;
  readonly reference: ReferenceInputs;
}

export function inputsFor(
  spec: ModelSpec,
  batch: number,
  sequenceLength: number,
  options: { readonly masked?: boolean; readonly seed?: number } = {},
): Case {
  const random = new Random(options.seed ?? 5);
  const steps = batch * sequenceLength;
  const rows = (space: Space): number[][] => Array.from({ length: steps }, () => elementOf(space, random));
  const round = (values: number[][]): number[][] => values.map((row) => row.map(Math.fround));
  const observations = round(rows(spec.observationSpace));
  const actions = round(rows(spec.actionSpace));
  const masks = options.masked === true ? actions.map((a) => maskFor(spec.actionSpace, a, random)) : null;
  const units = createModel(spec).stateWidth;
  const states =
    units === 0
      ? null
      : round(Array.from({ length: batch }, () => Array.from({ length: units }, () => random.normal())));
  return {
    reference: { sequenceLength, observations, actions, masks, states },
    engine: {
      steps,
      sequenceLength,
      observations: Float32Array.from(observations.flat()),
      actions:
        spec.actionSpace.kind === "box" ? Float32Array.from(actions.flat()) : Int32Array.from(actions.flat()),
      actionMasks: masks === null ? null : Uint8Array.from(masks.flat()),
      states: states === null ? null : Float32Array.from(states.flat()),
    },
  };
}

/** The steps from `from` to `to` of every sequence, with other states before them. */
export function stepsOf(
  spec: ModelSpec,
  inputs: EngineInputs,
  [from, to]: readonly [number, number],
  states: Float32Array | null,
): EngineInputs {
  const { steps, sequenceLength = 1, observations } = inputs;
  const width = widthOf(spec.observationSpace);
  const batch = steps / sequenceLength;
  const taken: number[] = [];
  for (let b = 0; b < batch; b++) {
    const first = b * sequenceLength;
    taken.push(...observations.subarray((first + from) * width, (first + to) * width));
  }
  return {
    steps: batch * (to - from),
    sequenceLength: to - from,
    observations: Float32Array.from(taken),
    actions: null,
    states,
  };
}

export function doubles(weights: WeightsSnapshot): Weights {
  return new Map(
    weights.tensors.map(({ name, shape, data }) => [name, { shape, data: Float64Array.from(data) }]),
  );
}
