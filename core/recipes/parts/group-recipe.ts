/** What methods without a critic share: a row's advantage comes from its group, and every step of the row has it. */
import { z } from "zod";
import type { Aggregator } from "../../algo/aggregate.js";
import { dualClip, ppoClip, type ClipEpsilon, type Surrogate } from "../../algo/surrogates.js";
import { groupAdvantages, type RowAdvantages } from "./advantages.js";
import { entropyCoefficient, updateParams, updatePlan } from "./params.js";
import type { Derive, Recipe } from "../../slots/recipe.js";
import { entropyTerm, policyTerm, type PolicyTermOptions } from "./terms.js";

/** Rows keep together: what a minibatch sums over a row it sums over all of it. */
export const groupParams = {
  ...updateParams,
  epochs: updateParams.epochs.default(1).describe("Passes over each batch"),
  minibatches: updateParams.minibatches.default(1).describe("Minibatches of each pass, each of whole rows"),
  entropyCoefficient: entropyCoefficient.default(0).describe("Weight c_e of the entropy bonus"),
};

/** A clip of its own on either side of ρ = 1. */
export function clipWindow(low: number, high: number) {
  const clip = z.number().positive().max(10);
  return {
    clipLow: clip.default(low).describe("The ratio is clipped below 1 − clipLow"),
    clipHigh: clip.default(high).describe("The ratio is clipped above 1 + clipHigh"),
  };
}

export function windowOf(p: { readonly clipLow: number; readonly clipHigh: number }): ClipEpsilon {
  return { low: p.clipLow, high: p.clipHigh };
}

/** Bound c of the loss where the advantage is negative. */
export function dualClipBound(c: number | null) {
  return z
    .number()
    .min(1)
    .max(1000)
    .nullable()
    .default(c)
    .describe("Bound c of the loss where the advantage is negative, in units of the advantage; null = none");
}

type Clip = Parameters<typeof windowOf>[0] & { readonly dualClip: number | null };

/** ppoClip, with a second bound where there is one. */
export function clippedSurrogate(p: Clip): Surrogate {
  return p.dualClip === null ? ppoClip(windowOf(p)) : dualClip({ ...windowOf(p), c: p.dualClip });
}

/** ε added to a standard deviation. */
export const stdEpsilon = z
  .number()
  .positive()
  .max(1)
  .default(1e-6)
  .describe("Added to the standard deviation of scores that advantages are divided by");

export interface GroupMethod extends Pick<PolicyTermOptions, "ratio" | "weights" | "select"> {
  readonly id: string;
  /** What happens to scores before that: row columns `score`. */
  readonly before?: readonly Derive[];
  readonly advantages: RowAdvantages | Derive;
  /** What happens to advantages after that. */
  readonly then?: readonly Derive[];
  readonly surrogate: Surrogate;
  readonly aggregator: Aggregator;
  readonly window: ClipEpsilon | null;
}

export function groupRecipe(
  p: z.output<z.ZodObject<typeof groupParams>>,
  { id, before = [], advantages, then = [], ...policy }: GroupMethod,
): Recipe {
  const derive =
    typeof advantages === "function" ? groupAdvantages("groupAdvantages", advantages) : advantages;
  return {
    id,
    requires: ["groups"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: [],
    derive: [...before, derive, ...then],
    terms: [policyTerm(policy), ...(p.entropyCoefficient > 0 ? [entropyTerm(p.entropyCoefficient)] : [])],
    trackers: {},
    update: updatePlan(p, "rows"),
  };
}
