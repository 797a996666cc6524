/** What methods without a critic share: a row's advantage comes from its group, and every step of the row has it. */
import { z } from "zod";
import type { Aggregator } from "../../algo/aggregate.js";
import { dualClip, ppoClip, type ClipEpsilon, type Surrogate } from "../../algo/surrogates.js";
import { groupAdvantages, type RowAdvantages } from "./advantages.js";
import { entropyCoefficient, updateParams, updatePlan } from "./params.js";
import type { Derive, Recipe, Sampler } from "../../slots/recipe.js";
import { bonusForEntropy, policyTerm, type PolicyTermOptions } from "./terms.js";

/** Rows keep together: what a minibatch sums over a row it sums over all of it. */
export const groupParams = {
  ...updateParams,
  epochs: updateParams.epochs.default(1).describe("Passes over each batch"),
  minibatches: updateParams.minibatches.default(1).describe("Minibatches of each pass, each of whole rows"),
  entropyCoefficient: entropyCoefficient.default(0).describe("Weight c_e of the entropy bonus"),
};

export type GroupParams = z.output<z.ZodObject<typeof groupParams>>;

/** A clip of its own on either side of ρ = 1. */
export function clipWindow(low: number, high: number) {
  const clip = z.number().positive().max(10);
  return {
    clipLow: clip.default(low).describe("The ratio is clipped below 1 − clipLow"),
    clipHigh: clip.default(high).describe("The ratio is clipped above 1 + clipHigh"),
  };
}

/** The same, and a bound c of the loss where the advantage is negative. */
export function dualClipWindow(low: number, high: number, c: number | null) {
  const dualClip = z
    .number()
    .min(1)
    .max(1000)
    .nullable()
    .default(c)
    .describe("Bound c of the loss where the advantage is negative, in units of the advantage; null = none");
  return { ...clipWindow(low, high), dualClip };
}

type Window = Readonly<Record<"clipLow" | "clipHigh", number>>;

export function windowOf({ clipLow, clipHigh }: Window): ClipEpsilon {
  return { low: clipLow, high: clipHigh };
}

/** ppoClip in the window, with the second bound where there is one. */
export function clipped(
  p: Window & { readonly dualClip?: number | null },
): Pick<GroupMethod, "surrogate" | "window"> {
  const window = windowOf(p);
  const c = p.dualClip ?? null;
  return { surrogate: c === null ? ppoClip(window) : dualClip({ ...window, c }), window };
}

/** ε added to a standard deviation. */
export const stdEpsilon = z
  .number()
  .positive()
  .max(1)
  .default(1e-6)
  .describe("Added to the standard deviation of scores that advantages are divided by");

/** Of what is absent there is none. */
export interface GroupMethod
  extends
    Pick<PolicyTermOptions, "ratio" | "weights" | "select">,
    Partial<Pick<Recipe, "evaluate" | "terms" | "trackers">> {
  readonly id: string;
  /** Beside groups. */
  readonly requires?: Recipe["requires"];
  /** What may enter a batch, beside how long it is. */
  readonly sampler?: Omit<Sampler, "batchSteps">;
  /** What happens to scores before advantages: row columns `score`. */
  readonly before?: readonly Derive[];
  readonly advantages: RowAdvantages | Derive;
  /** What happens to advantages after that. */
  readonly then?: readonly Derive[];
  readonly surrogate: Surrogate;
  readonly aggregator: Aggregator;
  readonly window: ClipEpsilon | null;
}

/** `terms` of the method come after the policy's and the bonus for entropy. */
export function groupRecipe(p: GroupParams, method: GroupMethod): Recipe {
  const { id, requires = [], sampler, evaluate = [], trackers = {}, ...rest } = method;
  const { before = [], advantages, then = [], terms = [], ...policy } = rest;
  const derive =
    typeof advantages === "function" ? groupAdvantages("groupAdvantages", advantages) : advantages;
  return {
    id,
    requires: ["groups", ...requires],
    sampler: { batchSteps: p.batchSteps, ...sampler },
    evaluate,
    derive: [...before, derive, ...then],
    terms: [policyTerm(policy), ...bonusForEntropy(p), ...terms],
    trackers,
    update: updatePlan(p, "rows"),
  };
}
