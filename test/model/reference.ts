/**
 * Every network and head again, in float64 and plain loops over single numbers, straight from their definitions. Shares
 * no code with core/model.
 */
import type { BoxSpace, Space } from "../../core/env/spaces.js";
import type { ModelSpec } from "../../core/model/model.js";

export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}
export type Weights = ReadonlyMap<string, Weight>;

export interface ReferenceInputs {
  readonly sequenceLength: number;
  /** [N][O] */
  readonly observations: readonly (readonly number[])[];
  /** [N][A] */
  readonly actions: readonly (readonly number[])[];
  /** [N][P] */
  readonly masks: readonly (readonly number[])[] | null;
  /** [B][S] */
  readonly states: readonly (readonly number[])[] | null;
}

export interface ReferenceColumns {
  readonly logprob: number[];
  readonly entropy: number[];
  readonly value: number[];
  /** [N][P] */
  readonly policy: number[][];
  /** [B][S] */
  readonly state: number[][];
}

type Vector = readonly number[];

const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const plus = (a: Vector, b: Vector): number[] => a.map((x, i) => x + b[i]!);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const total = (a: Vector): number => a.reduce((sum, x) => sum + x, 0);

class Net {
  constructor(private readonly weights: Weights) {}

  at(name: string): Weight {
    const found = this.weights.get(name);
    if (found === undefined) throw new Error(`reference: the model has no parameter ${name}`);
    return found;
  }

  vector(name: string): number[] {
    return Array.from(this.at(name).data);
  }

  /** x·W, W [in, out]. */
  times(x: Vector, name: string): number[] {
    const { shape, data } = this.at(name);
    const [rows, columns] = shape as [number, number];
    if (rows !== x.length) throw new Error(`reference: ${name} takes ${rows} numbers, got ${x.length}`);
    return Array.from({ length: columns }, (_, j) =>
      total(x.map((value, i) => value * data[i * columns + j]!)),
    );
  }

  linear(x: Vector, name: string): number[] {
    return plus(this.times(x, `${name}/weight`), this.vector(`${name}/bias`));
  }
}

function oneHot(index: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => (i === index ? 1 : 0));
}

function encode(observation: Vector, space: Space): number[] {
  if (space.kind === "box") return [...observation];
  const sizes = space.kind === "discrete" ? [space.n] : space.sizes;
  return observation.flatMap((index, k) => oneHot(index, sizes[k]!));
}

function cnnFeatures(net: Net, spec: Extract<ModelSpec, { kind: "cnn" }>, observation: Vector): number[] {
  const space = spec.observationSpace as BoxSpace;
  let [height, width, channels] = space.shape as [number, number, number];
  const bytes = space.low.every((x) => x === 0) && space.high.every((x) => x === 255);
  let image = observation.map((x) => (bytes ? x / 255 : x));
  for (const [k, { channels: outputs, kernel, stride }] of spec.convolutions.entries()) {
    const weight = net.at(`conv/${k}/weight`).data;
    const bias = net.at(`conv/${k}/bias`).data;
    const next: number[] = [];
    let [rows, columns] = [0, 0];
    for (let top = 0; top + kernel <= height; top += stride) {
      rows++;
      columns = 0;
      for (let left = 0; left + kernel <= width; left += stride) {
        columns++;
        for (let o = 0; o < outputs; o++) {
          let sum = bias[o]!;
          for (let y = 0; y < kernel; y++) {
            for (let x = 0; x < kernel; x++) {
              for (let c = 0; c < channels; c++) {
                const pixel = image[((top + y) * width + left + x) * channels + c]!;
                sum += pixel * weight[((y * kernel + x) * channels + c) * outputs + o]!;
              }
            }
          }
          next.push(Math.max(0, sum));
        }
      }
    }
    [image, height, width, channels] = [next, rows, columns, outputs];
  }
  for (const k of spec.hidden.keys()) image = net.linear(image, `trunk/${k}`).map((x) => Math.max(0, x));
  return image;
}

/** One sequence; returns the state after each step. */
function gruStates(
  net: Net,
  spec: Extract<ModelSpec, { kind: "gru" }>,
  observations: readonly Vector[],
  start: Vector,
): number[][] {
  const { units } = spec;
  let h = [...start];
  return observations.map((observation) => {
    let x = encode(observation, spec.observationSpace);
    for (const k of spec.hidden.keys()) x = net.linear(x, `encoder/${k}`).map(Math.tanh);
    const fromInput = plus(net.times(x, "gru/inputWeight"), net.vector("gru/inputBias"));
    const fromState = plus(net.times(h, "gru/stateWeight"), net.vector("gru/stateBias"));
    h = h.map((before, u) => {
      const r = sigmoid(fromInput[u]! + fromState[u]!);
      const z = sigmoid(fromInput[units + u]! + fromState[units + u]!);
      const n = Math.tanh(fromInput[2 * units + u]! + r * fromState[2 * units + u]!);
      return (1 - z) * n + z * before;
    });
    return h;
  });
}

/** One sequence; returns the features of each step. */
function transformerFeatures(
  net: Net,
  spec: Extract<ModelSpec, { kind: "transformer" }>,
  observations: readonly Vector[],
): number[][] {
  const { width, heads, feedForward } = spec;
  const d = width / heads;
  const space = spec.observationSpace as Exclude<Space, BoxSpace>;
  const sizes = space.kind === "discrete" ? [space.n] : space.sizes;
  const ids = observations.flatMap((o) => o.map((index, k) => index + total(sizes.slice(0, k))));
  const table = net.at("embed/weight").data;
  let tokens = ids.map((id) => Array.from(table.subarray(id * width, (id + 1) * width)));

  const norm = (x: Vector, name: string): number[] => {
    const weight = net.vector(`${name}/weight`);
    if (spec.norm === "rms") {
      const scale = 1 / Math.sqrt(total(x.map((v) => v * v)) / width + 1e-6);
      return x.map((v, i) => v * scale * weight[i]!);
    }
    const bias = net.vector(`${name}/bias`);
    const mean = total(x) / width;
    const variance = total(x.map((v) => (v - mean) ** 2)) / width;
    return x.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * weight[i]! + bias[i]!);
  };
  const rotated = (x: Vector, position: number): number[] => {
    const out = [...x];
    for (let i = 0; i < d / 2; i++) {
      const angle = position * 10000 ** ((-2 * i) / d);
      const [a, b] = [x[i]!, x[i + d / 2]!];
      out[i] = a * Math.cos(angle) - b * Math.sin(angle);
      out[i + d / 2] = b * Math.cos(angle) + a * Math.sin(angle);
    }
    return out;
  };
  const feed = (x: Vector, block: string): number[] => {
    if (spec.activation === "gelu") {
      const inner = net.times(x, `${block}/up/weight`);
      const gelu = (v: number): number =>
        0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
      return net.times(inner.map(gelu), `${block}/down/weight`);
    }
    const both = net.times(x, `${block}/gateUp/weight`);
    const gated = both.slice(0, feedForward).map((g, i) => g * sigmoid(g) * both[feedForward + i]!);
    return net.times(gated, `${block}/down/weight`);
  };

  for (let l = 0; l < spec.layers; l++) {
    const block = `block${l}`;
    const qkv = tokens.map((x) => net.times(norm(x, `${block}/attentionNorm`), `${block}/qkv/weight`));
    tokens = tokens.map((x, query) => {
      const mixed: number[] = [];
      for (let head = 0; head < heads; head++) {
        const part = (token: number, which: number): number[] =>
          qkv[token]!.slice(which * width + head * d, which * width + (head + 1) * d);
        const q = rotated(part(query, 0), query);
        const weights = Array.from({ length: query + 1 }, (_, key) =>
          Math.exp(dot(q, rotated(part(key, 1), key)) / Math.sqrt(d)),
        );
        const sum = total(weights);
        for (let i = 0; i < d; i++) mixed.push(total(weights.map((w, key) => (w / sum) * part(key, 2)[i]!)));
      }
      return plus(x, net.times(mixed, `${block}/attentionOut/weight`));
    });
    tokens = tokens.map((x) => plus(x, feed(norm(x, `${block}/feedForwardNorm`), block)));
  }
  return observations.map((_, t) => norm(tokens[(t + 1) * sizes.length - 1]!, "norm"));
}

interface Distribution {
  readonly policy: number[];
  readonly logprob: number;
  readonly entropy: number;
}

function categoricals(logits: Vector, sizes: Vector, actions: Vector): Distribution {
  let [logprob, entropy, at] = [0, 0, 0];
  sizes.forEach((size, k) => {
    const part = logits.slice(at, at + size);
    const highest = Math.max(...part);
    const weights = part.map((x) => Math.exp(x - highest));
    const sum = total(weights);
    logprob += part[actions[k]!]! - highest - Math.log(sum);
    for (const w of weights) if (w > 0) entropy -= (w / sum) * Math.log(w / sum);
    at += size;
  });
  return { policy: [...logits], logprob, entropy };
}

/** E log(1 − tanh²(mean + std·ε)), by the trapezoidal rule over ±12 deviations. */
function expectedLogSlope(mean: number, std: number): number {
  const step = 1 / 64;
  let sum = 0;
  for (let e = -12; e <= 12; e += step) {
    const u = mean + std * e;
    sum += Math.exp(-0.5 * e * e) * Math.log(4 / (Math.exp(u) + Math.exp(-u)) ** 2);
  }
  return (sum * step) / Math.sqrt(2 * Math.PI);
}

function gaussian(net: Net, means: Vector, actions: Vector, spec: ModelSpec): Distribution {
  const logStds = net.vector("actor/logStd");
  let [logprob, entropy] = [0, 0];
  means.forEach((mean, k) => {
    const std = Math.exp(logStds[k]!);
    const density = Math.exp(-0.5 * ((actions[k]! - mean) / std) ** 2) / (std * Math.sqrt(2 * Math.PI));
    logprob += Math.log(density);
    entropy += 0.5 * Math.log(2 * Math.PI * Math.E * std * std);
    if (spec.distribution === "tanhGaussian") {
      const { low, high } = spec.actionSpace as BoxSpace;
      const range = Math.log((high[k]! - low[k]!) / 2);
      logprob -= Math.log(1 - Math.tanh(actions[k]!) ** 2) + range;
      entropy += expectedLogSlope(mean, std) + range;
    }
  });
  return { policy: [...means, ...logStds], logprob, entropy };
}

function distributionOf(
  net: Net,
  spec: ModelSpec,
  output: Vector,
  actions: Vector,
  mask: Vector | null,
): Distribution {
  const space = spec.actionSpace;
  if (space.kind === "box") return gaussian(net, output, actions, spec);
  const logits = output.map((x, i) => (mask !== null && mask[i] === 0 ? x - 1e9 : x));
  return categoricals(logits, space.kind === "discrete" ? [space.n] : space.sizes, actions);
}

function mlpTower(net: Net, spec: Extract<ModelSpec, { kind: "mlp" }>, name: string, x: Vector): number[] {
  let y = [...x];
  for (const k of spec.hidden.keys()) y = net.linear(y, `${name}/${k}`).map(Math.tanh);
  return net.linear(y, `${name}/${spec.hidden.length}`);
}

/** All columns of a batch. */
export function reference(spec: ModelSpec, weights: Weights, inputs: ReferenceInputs): ReferenceColumns {
  const net = new Net(weights);
  const { sequenceLength, observations } = inputs;
  const batch = observations.length / sequenceLength;
  const state: number[][] = [];
  const outputs: { actor: number[]; critic: number }[] = [];
  for (let b = 0; b < batch; b++) {
    const sequence = observations.slice(b * sequenceLength, (b + 1) * sequenceLength);
    if (spec.kind === "mlp") {
      for (const o of sequence) {
        const x = encode(o, spec.observationSpace);
        outputs.push({
          actor: mlpTower(net, spec, "actor", x),
          critic: mlpTower(net, spec, "critic", x)[0]!,
        });
      }
      continue;
    }
    let features: number[][];
    if (spec.kind === "cnn") features = sequence.map((o) => cnnFeatures(net, spec, o));
    else if (spec.kind === "transformer") features = transformerFeatures(net, spec, sequence);
    else {
      const start = inputs.states?.[b] ?? new Array<number>(spec.units).fill(0);
      features = gruStates(net, spec, sequence, start);
      state.push(features[sequenceLength - 1]!);
    }
    for (const x of features) {
      outputs.push({ actor: net.linear(x, "actor"), critic: net.linear(x, "critic")[0]! });
    }
  }
  const distributions = outputs.map(({ actor }, i) =>
    distributionOf(net, spec, actor, inputs.actions[i]!, inputs.masks?.[i] ?? null),
  );
  return {
    logprob: distributions.map(({ logprob }) => logprob),
    entropy: distributions.map(({ entropy }) => entropy),
    policy: distributions.map(({ policy }) => policy),
    value: outputs.map(({ critic }) => critic),
    state,
  };
}
