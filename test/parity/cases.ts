/** The parity suite's cases: inputs, weights and what the float64 oracle (oracle.py) expects of them. */
import { readdirSync, readFileSync } from "node:fs";
import type { EngineInputs, OptimizerStep } from "../../core/engine/engine.js";
import { box, widthOf, type BoxSpace, type Space } from "../../core/env/spaces.js";
import type { Architecture, BoxDistribution, ModelSpec, OutputColumn } from "../../core/model/model.js";
import type { NamedTensor, WeightsSnapshot } from "../../core/types.js";
import { decodeSafetensors } from "../../core/weights/safetensors.js";

export interface Training {
  readonly step: OptimizerStep;
  readonly updates: number;
  /** [N] ∂loss/∂logprob */
  readonly logprobWeights: Float64Array;
  /** ∂loss/∂entropy of every step */
  readonly entropyWeight: number;
  /** [N] ∂loss/∂value = (value − target) / N */
  readonly valueTargets: Float64Array;
  /** Norm of the gradient before clipping, by update, counted from 1. */
  readonly gradNorms: ReadonlyMap<number, number>;
  /** Weights after `updates` updates. */
  readonly trained: readonly NamedTensor[];
}

export interface ParityCase {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly inputs: EngineInputs;
  readonly weights: WeightsSnapshot;
  /** Every column the network has. */
  readonly columns: ReadonlyMap<OutputColumn, Float32Array>;
  /** [N] each */
  readonly cotangents: Readonly<Record<"logprob" | "entropy" | "value", Float64Array>>;
  /** ∂ Σ cotangent·column / ∂ parameter */
  readonly gradients: readonly NamedTensor[];
  readonly gradNorm: number;
  readonly training: Training;
}

/** A space whose bounds may be one number for all elements. */
type StoredSpace =
  | Exclude<Space, BoxSpace>
  | {
      readonly kind: "box";
      readonly shape: readonly number[];
      readonly low: number | readonly number[];
      readonly high: number | readonly number[];
    };

/** The JSON of a case's file: what is no tensor. */
interface Description {
  readonly spec: Architecture & {
    readonly observationSpace: StoredSpace;
    readonly actionSpace: StoredSpace;
    readonly distribution?: BoxDistribution;
  };
  readonly steps: number;
  readonly sequenceLength: number;
  readonly gradNorm: number;
  readonly training: OptimizerStep & { readonly updates: number; readonly entropyWeight: number };
  readonly trainingGradNorms: Readonly<Record<string, number>>;
}

const FOLDER = new URL("data/", import.meta.url);

function expanded(space: StoredSpace): Space {
  return space.kind === "box" ? box(space.shape, space.low, space.high) : space;
}

/** Observations of the cases that store none: pixel i = ((i² + 7i) mod 65521) mod 256, as in oracle_cases.py. */
function framePixels(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * i + 7 * i) % 65521) % 256);
}

function readCase(name: string): ParityCase {
  const where = new URL(`${name}.safetensors`, FOLDER);
  const { tensors, metadata } = decodeSafetensors(readFileSync(where), where.pathname);
  const description = JSON.parse(metadata["case"]!) as Description;
  const { steps, sequenceLength, gradNorm } = description;
  const { updates, entropyWeight, ...step } = description.training;
  const spec: ModelSpec = {
    ...description.spec,
    observationSpace: expanded(description.spec.observationSpace),
    actionSpace: expanded(description.spec.actionSpace),
  };
  const under = (folder: string): NamedTensor[] =>
    tensors
      .filter((tensor) => tensor.name.startsWith(`${folder}/`))
      .map((tensor) => ({ ...tensor, name: tensor.name.slice(folder.length + 1) }));
  const find = (tensor: string): NamedTensor["data"] | undefined =>
    tensors.find((candidate) => candidate.name === tensor)?.data;
  const real = (tensor: string): Float64Array => Float64Array.from(find(tensor)!);
  const observations = find("input/observations") ?? framePixels(steps * widthOf(spec.observationSpace));
  const masks = find("input/actionMasks");
  const states = find("input/states");
  return {
    name,
    spec,
    inputs: {
      steps,
      sequenceLength,
      observations: observations as Float32Array,
      actions: find("input/actions")!,
      actionMasks: masks === undefined ? null : Uint8Array.from(masks),
      states: (states as Float32Array | undefined) ?? null,
    },
    weights: { version: 0, tensors: under("weights") },
    columns: new Map(under("column").map((t) => [t.name as OutputColumn, t.data as Float32Array])),
    cotangents: {
      logprob: real("cotangent/logprob"),
      entropy: real("cotangent/entropy"),
      value: real("cotangent/value"),
    },
    gradients: under("gradient"),
    gradNorm,
    training: {
      step,
      updates,
      logprobWeights: real("training/logprobWeights"),
      entropyWeight,
      valueTargets: real("training/valueTargets"),
      gradNorms: new Map(Object.entries(description.trainingGradNorms).map(([k, x]) => [Number(k), x])),
      trained: under("trained"),
    },
  };
}

export function parityCases(): readonly ParityCase[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".safetensors"))
    .sort()
    .map((file) => readCase(file.slice(0, -".safetensors".length)));
}
