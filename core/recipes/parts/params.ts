/** Parameters that methods share: the names, bounds and meanings are the same wherever they appear in a run file. */
import { z } from "zod";
import { SkeinError } from "../../errors.js";
import type { UpdatePlan } from "../../slots/recipe.js";

/** What many parameters are, but for default and meaning. */
export const share = z.number().min(0).max(1);
export const weight = z.number().min(0).max(1000);
export const steps = z.int().min(1).max(1e8);

/** How a batch becomes optimiser steps. */
export const updateParams = {
  batchSteps: z.int().min(1).max(1e8).default(512).describe("Environment steps of one batch"),
  epochs: z.int().min(1).max(1000).default(4).describe("Passes over each batch"),
  minibatches: z.int().min(1).max(1e6).default(4).describe("Minibatches of each pass"),
  learningRate: z.number().positive().max(10).default(2.5e-4).describe("Adam's step size"),
  annealLearningRate: z
    .boolean()
    .default(true)
    .describe("Linear decay of the learning rate to 0 at stop.envSteps"),
  adamEpsilon: z.number().positive().max(1).default(1e-5).describe("Adam's ε"),
  maxGradNorm: z.number().positive().default(0.5).describe("Global L2 norm to which gradients are clipped"),
  targetKl: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("KL(π_behaviour ‖ π), nats, beyond which a batch's epochs end early; null = never"),
};

/** A critic and its advantages. */
export const criticParams = {
  gamma: z.number().min(0).max(1).default(0.99).describe("Discount per step, γ"),
  lambda: z.number().min(0).max(1).default(0.95).describe("GAE's λ"),
  valueClipEpsilon: z
    .number()
    .positive()
    .nullable()
    .default(0.2)
    .describe("Clip of the value around its old value, in units of return; null = no clip"),
  valueCoefficient: z.number().min(0).default(0.5).describe("Weight c_v of the value loss"),
  normalizeAdvantages: z.boolean().default(true).describe("Normalise advantages in each minibatch"),
  scaleRewards: z
    .boolean()
    .default(false)
    .describe("Divide rewards by the running std of the discounted return"),
};

export const clipEpsilon = z.number().positive().max(10).default(0.2).describe("Ratio clip ε");

export const entropyCoefficient = z.number().min(0).default(0.01).describe("Weight c_e of the entropy bonus");

/** Throws CONFIG_INVALID, `recipe <id>: expected <what>`, where that does not hold. */
export function expectParams(id: string, holds: boolean, what: string): void {
  if (!holds) throw new SkeinError("CONFIG_INVALID", `recipe ${id}: expected ${what}`);
}

/** Throws CONFIG_INVALID where an entropy band of recipe `id` ends below where it begins. */
export function expectBand(
  id: string,
  { bandLow, bandHigh }: { readonly bandLow: number; readonly bandHigh: number },
): void {
  expectParams(id, bandLow <= bandHigh, `recipe.params.bandLow ≤ bandHigh, got ${bandLow} and ${bandHigh}`);
}

export type UpdateParams = z.output<z.ZodObject<typeof updateParams>>;
export type CriticParams = z.output<z.ZodObject<typeof criticParams>>;

export function updatePlan(p: UpdateParams, minibatchesOf: UpdatePlan["minibatchesOf"]): UpdatePlan {
  return {
    epochs: p.epochs,
    minibatches: p.minibatches,
    minibatchesOf,
    learningRate: p.learningRate,
    anneal: p.annealLearningRate,
    maxGradNorm: p.maxGradNorm,
    adamEpsilon: p.adamEpsilon,
    targetKl: p.targetKl,
  };
}
