/** The `model` section of the run file: one kind of network each, and what all have in common. */
import { z } from "zod";

const units = z.int().min(1).max(8192);

const distribution = z
  .enum(["gaussian", "tanhGaussian", "mixture"])
  .default("gaussian")
  .describe(
    "Distribution of real-valued actions; tanhGaussian squashes them into their bounds, mixture is of several Gaussians. Integer actions are always categorical",
  );

const components = z.int().min(2).max(64).default(5).describe("Gaussians of distribution mixture");

const critic = z
  .boolean()
  .default(true)
  .describe("Whether the network estimates values; methods that need none train without");

const hidden = (meaning: string, least: number, fallback: number[]): z.ZodDefault<z.ZodArray<z.ZodInt>> =>
  z.array(units).min(least).max(8).default(fallback).describe(`${meaning}, units`);

const convolution = z.strictObject({
  channels: z.int().min(1).max(4096).describe("Output channels"),
  kernel: z.int().min(1).max(64).describe("Height and width of the kernel, cells"),
  stride: z.int().min(1).max(64).describe("Step of the kernel, cells"),
});

const mlp = z
  .strictObject({
    kind: z.literal("mlp").default("mlp").describe("Network family"),
    hidden: hidden("Width of each hidden layer", 1, [64, 64]),
    distribution,
    components,
    critic,
    postDecisionCritic: z
      .boolean()
      .default(false)
      .describe("A second critic, of what an action leads to before chance has its part"),
  })
  .describe("Separate actor and critic of dense layers with tanh; the default kind");

const cnn = z
  .strictObject({
    kind: z.literal("cnn").describe("Network family"),
    convolutions: z
      .array(convolution)
      .min(1)
      .max(8)
      .default([{ channels: 16, kernel: 3, stride: 1 }])
      .describe("Convolutions, first to last: valid padding, relu"),
    hidden: hidden("Width of each dense layer after them", 0, [128]),
    distribution,
    components,
    critic,
  })
  .describe("Convolutions for observations of height × width × channels, then dense layers, all with relu");

const gru = z
  .strictObject({
    kind: z.literal("gru").describe("Network family"),
    hidden: hidden("Width of each dense layer before the recurrent one", 0, [64]),
    units: units
      .default(64)
      .describe("Width of the recurrent layer: numbers of memory carried from step to step"),
    distribution,
    components,
    critic,
  })
  .describe("Dense layers with tanh, then one recurrent layer of gated units");

const transformer = z
  .strictObject({
    kind: z.literal("transformer").describe("Network family"),
    layers: z.int().min(1).max(64).default(2).describe("Blocks of attention and feed-forward"),
    width: units.default(64).describe("Width of a token's vector, units; a multiple of 2 · heads"),
    heads: z.int().min(1).max(256).default(4).describe("Attention heads"),
    feedForward: z
      .int()
      .min(1)
      .max(65_536)
      .default(128)
      .describe("Width between the two projections of a block's feed-forward part, units"),
    norm: z.enum(["rms", "layer"]).default("rms").describe("Normalisation before each part of a block"),
    activation: z.enum(["swiglu", "gelu"]).default("swiglu").describe("Activation of the feed-forward part"),
    distribution,
    components,
    critic,
  })
  .describe("Causal transformer with rotary positions over tokens: observations of one or more integers");

export const modelSchema = z
  .discriminatedUnion("kind", [mlp, cnn, gru, transformer], {
    error: ({ code }) =>
      code === "invalid_union"
        ? 'Invalid option: expected one of "mlp"|"cnn"|"gru"|"transformer"'
        : undefined,
  })
  .prefault({})
  .describe("The network");
