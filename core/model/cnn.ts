/** Convolutional network for boards and frames, with relu; actor and critic share it (Mnih et al. 2015). */
import * as tf from "@tensorflow/tfjs-core";
import { describeSpace, type BoxSpace, type Space } from "../env/spaces.js";
import { SkeinError } from "../errors.js";
import { onTrunk } from "./actor-critic.js";
import { conv2d, outputCells } from "./convolution.js";
import { towerSpecs } from "./init.js";
import type { ConvolutionLayer, Model, ModelSpec, ParameterSpec } from "./model.js";
import { linear, relu } from "./ops.js";

type Image = readonly [height: number, width: number, channels: number];

function imageOf(space: Space): Image {
  if (space.kind === "box" && space.shape.length === 3) return space.shape as unknown as Image;
  throw new SkeinError(
    "ENVIRONMENT_FAILED",
    `model cnn: expected observations Box(height×width×channels), got ${describeSpace(space)}; set model.kind: mlp`,
  );
}

/** 1/255 for frames of bytes, else 1. */
function scaleOf({ low, high }: BoxSpace): number {
  return low.every((bound) => bound === 0) && high.every((bound) => bound === 255) ? 1 / 255 : 1;
}

/** Parameters of the convolutions, and the shape of what each gives. */
function convolutionSpecs(
  image: Image,
  layers: readonly ConvolutionLayer[],
): { readonly specs: readonly ParameterSpec[]; readonly maps: readonly Image[] } {
  let [height, width, channels] = image;
  const specs: ParameterSpec[] = [];
  const maps: Image[] = [];
  for (const [k, { channels: outputs, kernel, stride }] of layers.entries()) {
    if (kernel > Math.min(height, width)) {
      throw new SkeinError(
        "CONFIG_INVALID",
        `model.convolutions.${k}.kernel: expected at most ${Math.min(height, width)}, the side of its ` +
          `${height}×${width} input, got ${kernel}`,
      );
    }
    specs.push(
      {
        name: `conv/${k}/weight`,
        shape: [kernel, kernel, channels, outputs],
        init: { kind: "orthogonal", gain: Math.SQRT2 },
      },
      { name: `conv/${k}/bias`, shape: [outputs], init: { kind: "constant", value: 0 } },
    );
    height = outputCells(height, kernel, stride);
    width = outputCells(width, kernel, stride);
    channels = outputs;
    maps.push([height, width, channels]);
  }
  return { specs, maps };
}

export function cnn(spec: Extract<ModelSpec, { kind: "cnn" }>): Model {
  const image = imageOf(spec.observationSpace);
  const scale = scaleOf(spec.observationSpace as BoxSpace);
  const { specs, maps } = convolutionSpecs(image, spec.convolutions);
  const flat = (maps[maps.length - 1] ?? image).reduce((a, b) => a * b, 1);
  return onTrunk(spec, {
    parameters: [...specs, ...towerSpecs("trunk", [flat, ...spec.hidden])],
    width: spec.hidden[spec.hidden.length - 1] ?? flat,
    stateWidth: 0,
    run(p, { observations }) {
      let map = tf.reshape<tf.Rank.R4>(observations, [-1, ...image]);
      for (const [k, { stride }] of spec.convolutions.entries()) {
        const weight = p[`conv/${k}/weight`]!;
        // Scaling the first layer's weights scales its input, which is far larger.
        const scaled = k === 0 && scale !== 1 ? tf.mul(weight, scale) : weight;
        const cells = conv2d(map, scaled, p[`conv/${k}/bias`]!, { stride, inputGradient: k > 0 });
        map = tf.reshape(relu(cells), [-1, ...maps[k]!]);
      }
      let x = tf.reshape<tf.Rank.R2>(map, [-1, flat]);
      for (const k of spec.hidden.keys()) {
        x = relu(linear(x, p[`trunk/${k}/weight`]!, p[`trunk/${k}/bias`]!));
      }
      return { features: x };
    },
  });
}
