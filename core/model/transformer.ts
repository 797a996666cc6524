/** Decoder-only transformer over tokens: pre-norm blocks of causal self-attention and feed-forward layers. */
import * as tf from "@tensorflow/tfjs-core";
import { describeSpace, type Space } from "../env/spaces.js";
import { SkeinError } from "../errors.js";
import { gelu, siluGate } from "./activations.js";
import { onTrunk } from "./actor-critic.js";
import { attend, causalMask, rotate, rotation, type Rotation } from "./attention.js";
import type { Initializer, Model, ModelSpec, Parameters, ParameterSpec } from "./model.js";
import { layerNorm, rmsNorm } from "./norms.js";
import { project, withGradient } from "./ops.js";

type TransformerSpec = Extract<ModelSpec, { kind: "transformer" }>;

/** Sizes of each integer of an observation: each becomes one token. */
function tokenSizes(space: Space): readonly number[] {
  switch (space.kind) {
    case "discrete":
      return [space.n];
    case "multiDiscrete":
      return space.sizes;
    case "box":
      throw new SkeinError(
        "ENVIRONMENT_FAILED",
        `model transformer: expected observations Discrete or MultiDiscrete (tokens), got ${describeSpace(space)}; ` +
          "set model.kind: mlp, cnn or gru",
      );
  }
}

function parametersOf(spec: TransformerSpec, vocabulary: number): ParameterSpec[] {
  const { width, feedForward } = spec;
  const normal: Initializer = { kind: "normal", std: 0.02 };
  const matrix = (name: string, rows: number, columns: number): ParameterSpec => ({
    name: `${name}/weight`,
    shape: [rows, columns],
    init: normal,
  });
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}/weight`, shape: [width], init: { kind: "constant", value: 1 } },
    ...(spec.norm === "layer"
      ? [{ name: `${name}/bias`, shape: [width], init: { kind: "constant", value: 0 } } as const]
      : []),
  ];
  const block = (name: string): ParameterSpec[] => [
    ...norm(`${name}/attentionNorm`),
    matrix(`${name}/qkv`, width, 3 * width),
    matrix(`${name}/attentionOut`, width, width),
    ...norm(`${name}/feedForwardNorm`),
    spec.activation === "swiglu"
      ? matrix(`${name}/gateUp`, width, 2 * feedForward)
      : matrix(`${name}/up`, width, feedForward),
    matrix(`${name}/down`, feedForward, width),
  ];
  return [
    matrix("embed", vocabulary, width),
    ...Array.from({ length: spec.layers }, (_, l) => block(`block${l}`)).flat(),
    ...norm("norm"),
  ];
}

/** Rows of weight [V, D] for ids [M] → [M, D]; the gradient adds each row's up. */
function embed(weight: tf.Tensor2D, ids: tf.Tensor1D): tf.Tensor2D {
  const { shape } = weight;
  return withGradient<tf.Tensor2D>(
    [weight],
    () => ({ value: tf.gather(weight, ids), saved: [ids] }),
    (dy, [rows]) => [tf.scatterND(tf.reshape(rows!, [-1, 1]), dy, shape)],
  );
}

/** Observations [N, K] → token ids [N·K], each integer offset by the sizes before it. */
function tokenIds(observations: tf.Tensor2D, sizes: readonly number[]): tf.Tensor1D {
  const offsets = sizes.map((_, k) => sizes.slice(0, k).reduce((a, b) => a + b, 0));
  const shifted = sizes.length === 1 ? observations : tf.add(observations, tf.tensor1d(offsets));
  return tf.reshape(tf.cast(shifted, "int32"), [-1]);
}

/** What all blocks of one pass share. */
interface Pass {
  readonly spec: TransformerSpec;
  readonly parameters: Parameters;
  /** B and L */
  readonly batch: number;
  readonly length: number;
  readonly queryRotation: Rotation;
  readonly keyRotation: Rotation;
  readonly mask: tf.Tensor2D;
}

function normalise({ spec, parameters }: Pass, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const weight = parameters[`${name}/weight`]!;
  return spec.norm === "rms" ? rmsNorm(x, weight) : layerNorm(x, weight, parameters[`${name}/bias`]!);
}

/** x [B·L, D] → [B·L, D]. Slicing the weights into q, k and v is cheaper than slicing what they give. */
function attention(pass: Pass, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const { spec, parameters, batch, length } = pass;
  const { heads, width } = spec;
  const byHead = (part: tf.Tensor): tf.Tensor4D =>
    tf.transpose(tf.reshape(project(x, part), [batch, length, heads, width / heads]), [0, 2, 1, 3]);
  const [q, k, v] = tf.split(parameters[`${name}/qkv/weight`]!, 3, 1).map(byHead) as [
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor4D,
  ];
  const mixed = attend(rotate(q, pass.queryRotation), rotate(k, pass.keyRotation), v, pass.mask);
  const together = tf.reshape<tf.Rank.R2>(tf.transpose(mixed, [0, 2, 1, 3]), [batch * length, width]);
  return project(together, parameters[`${name}/attentionOut/weight`]!);
}

/** x [B·L, D] → [B·L, D] */
function feedForward({ spec, parameters }: Pass, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const inner = (): tf.Tensor2D => {
    if (spec.activation === "gelu") return gelu(project(x, parameters[`${name}/up/weight`]!));
    const [gate, up] = tf.split(parameters[`${name}/gateUp/weight`]!, 2, 1) as [tf.Tensor, tf.Tensor];
    return siluGate(project(x, gate), project(x, up));
  };
  return project(inner(), parameters[`${name}/down/weight`]!);
}

/** Features of a step are those of its last token: x [N·K, D] → [N, D]. */
function lastTokens(x: tf.Tensor2D, tokens: number): tf.Tensor2D {
  if (tokens === 1) return x;
  const [count, width] = x.shape;
  const steps = tf.reshape(x, [count / tokens, tokens, width]);
  return tf.reshape(tf.slice(steps, [0, tokens - 1, 0], [-1, 1, -1]), [count / tokens, width]);
}

/** Rotary positions count from the start of each sequence; a token sees itself and those before it. */
export function transformer(spec: TransformerSpec): Model {
  const sizes = tokenSizes(spec.observationSpace);
  const headWidth = spec.width / spec.heads;
  const vocabulary = sizes.reduce((a, b) => a + b, 0);
  return onTrunk(spec, {
    parameters: parametersOf(spec, vocabulary),
    width: spec.width,
    stateWidth: 0,
    run(parameters, { observations, sequenceLength }) {
      const length = sequenceLength * sizes.length;
      const pass: Pass = {
        spec,
        parameters,
        batch: observations.shape[0] / sequenceLength,
        length,
        queryRotation: rotation(length, headWidth, 1 / Math.sqrt(headWidth)),
        keyRotation: rotation(length, headWidth, 1),
        mask: causalMask(length),
      };
      let x = embed(parameters["embed/weight"] as tf.Tensor2D, tokenIds(observations, sizes));
      for (let l = 0; l < spec.layers; l++) {
        const name = `block${l}`;
        x = tf.add(x, attention(pass, name, normalise(pass, `${name}/attentionNorm`, x)));
        x = tf.add(x, feedForward(pass, name, normalise(pass, `${name}/feedForwardNorm`, x)));
      }
      return { features: normalise(pass, "norm", lastTokens(x, sizes.length)) };
    },
  });
}
