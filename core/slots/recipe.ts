/**
 * A method is data: five slots filled with pure functions.
 * sampler → derive → terms → update, with trackers as the only state between batches.
 */
import type { z } from "zod";
import type { Aggregator } from "../algo/aggregate.js";
import type { LossAndGate } from "../algo/arrays.js";
import type { LiveColumn } from "../engine/engine.js";
import type { Random } from "../random.js";
import type { BranchPlan } from "../types.js";
import type { Batch, ColumnSet } from "./batch.js";

/** Numbers each tracker shows, by tracker and name. */
export type Readings = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * What a recipe cannot do without.
 * groups = rows of one task from one initial state, complete (`groups` in a run file) · value = a network with a critic ·
 * reference = a policy that is held fixed (`reference` in a run file) · anchors = an environment in which states come
 * again and can be told to · anchorNames = one that gives states names · snapshots = one that can go back to a state ·
 * discrete = actions that are integers · exactKl = action distributions whose KL divergence has a closed form ·
 * separateCritic = actor and critic that share no weights · mixture = actions drawn from several Gaussians ·
 * postDecision = an environment with post-decision states, and a critic of them
 */
export type Requirement =
  | "groups"
  | "value"
  | "reference"
  | "anchors"
  | "anchorNames"
  | "snapshots"
  | "discrete"
  | "exactKl"
  | "separateCritic"
  | "mixture"
  | "postDecision";

/** The scores of a whole group, member by member, decide whether it may enter a batch. */
export interface GroupFilter {
  /** Under which filtered rollouts appear in the books. */
  readonly reason: string;
  readonly keep: (scores: Float64Array) => boolean;
  /** After this many batches' worth of steps were filtered since the last batch, groups enter as they are. */
  readonly maxBatches: number;
}

/** What may enter a batch, and when it is sealed. */
export interface Sampler {
  /** Steps at which a batch is complete; the last rollout is taken whole. */
  readonly batchSteps: number;
  readonly filter?: GroupFilter;
  /** A batch has a multiple of this many groups; absent = 1. */
  readonly bundleGroups?: number;
  /** Of the episode of each member of a group; a recipe of it requires groups and snapshots. Absent = none. */
  readonly branches?: BranchPlan;
}

/** Rows of the last batches that are trained on again, with the log-probabilities and versions they came with. */
export interface Replay {
  /** Batches that are remembered. */
  readonly batches: number;
  /** Steps that are replayed, as a share of a new batch's; groups stay whole. */
  readonly share: number;
}

/**
 * Rows of trajectories that go on are kept, and join the batch in which they end. The step column `fresh` is 1 in rows that
 * came with the batch and 0 in those kept.
 */
export interface KeepUnfinished {
  /** Rows are forgotten after this many batches. */
  readonly maxBatches: number;
}

/** What a derive may know beside the batch. */
export interface DeriveContext {
  readonly readings: Readings;
  /** The live columns of the minibatch at hand, detached; empty while a batch is sealed. [N] each, `policy` [N·P] */
  readonly live: ColumnSet;
  /** The learner's stream: what is drawn from it is the same in every run of the same seed. */
  readonly random: Random;
}

export interface Derived {
  readonly step?: ColumnSet;
  readonly row?: ColumnSet;
  /** [N] in place of the batch's. */
  readonly mask?: Uint8Array;
  /** Rows that make up the batch from here on, by number; one may be there several times. Only where when = "seal". */
  readonly rows?: Uint32Array;
}

/** Detached arithmetic that adds columns, changes the mask or gathers rows. Pure but for what it draws. */
export interface Derive {
  readonly id: string;
  /** seal = once, on the whole batch; step = on every minibatch, with its live columns */
  readonly when: "seal" | "step";
  /** Step columns it reads. */
  readonly needs: readonly string[];
  /** Step columns it adds or replaces. */
  readonly writes: readonly string[];
  /** Live columns it reads. */
  readonly live?: readonly LiveColumn[];
  run(batch: Batch, context: DeriveContext): Derived;
}

/** A number that a tracker shows. */
export interface Reading {
  readonly tracker: string;
  readonly name: string;
}

/** coefficient · Σ κ·w·φ(x) for one live column x. */
export interface Term {
  readonly id: string;
  readonly on: LiveColumn;
  readonly coefficient: number | Reading;
  readonly aggregator: Aggregator;
  /** Step columns it reads. */
  readonly needs: readonly string[];
  /** Step columns whose product is w; what it weighs down stays in the denominator. */
  readonly weights?: readonly string[];
  /** A step column of 0 and 1: where it is 0 the step is masked, for this term alone. */
  readonly select?: string;
  /** Writes φ [N] and ∂φ/∂x, [N] or for `policy` [N·P]; may return numbers worth watching. */
  evaluate(live: Float64Array, batch: Batch, out: LossAndGate): Readonly<Record<string, number>>;
}

/** State kept between batches and in checkpoints; JSON. Observed before the batch is derived from. */
export interface Tracker<S = unknown> {
  readonly initial: S;
  observe(state: S, batch: Batch): S;
  /** Once the batch is trained: means of what its terms reported, over all passes and over the last one; none where it was not trained. */
  conclude?(state: S, stats: Readonly<Record<string, number>>, lastPass: Readonly<Record<string, number>>): S;
  read(state: S): Readonly<Record<string, number>>;
}

/** How far a step of the policy may go, and how it is found (`core/algo/trust-region.ts`). */
export interface TrustRegion {
  readonly kind: "trustRegion";
  /** Its mean over the batch is what `maxKl` bounds. 0 with slope 0 at the policy that sealed the batch. */
  readonly constraint: Term;
  /** nats */
  readonly maxKl: number;
  /** Added to the constraint's curvature. */
  readonly damping: number;
  /** Of conjugate gradients. */
  readonly iterations: number;
  /** Step lengths that the line search tries. */
  readonly backtracks: number;
  /** Each of them over the one before. */
  readonly decay: number;
}

/** How a sealed batch becomes optimiser steps. */
export interface UpdatePlan {
  /**
   * With a trust region one step of it is taken first, on the terms that are not on `value`; what follows fits those that
   * are. Absent = Adam for all
   */
  readonly optimizer?: TrustRegion;
  readonly epochs: number;
  readonly minibatches: number;
  /**
   * What minibatches are made of: rows where something of a row is summed over its steps, groups where a derive of a
   * minibatch compares the rows of a group.
   */
  readonly minibatchesOf: "steps" | "rows" | "groups";
  readonly learningRate: number;
  /** Learning rate falls linearly to 0 at stop.envSteps. */
  readonly anneal: boolean;
  readonly maxGradNorm: number;
  readonly adamEpsilon: number;
  /** Epochs end early once KL(π_behaviour ‖ π) of a minibatch, nats, exceeds this; null = never. */
  readonly targetKl: number | null;
  /** First batches of a run that only trackers see: the policy stays as it is. Absent = 0 */
  readonly observeBatches?: number;
}

export interface Recipe {
  readonly id: string;
  readonly requires: readonly Requirement[];
  /** Row counters that the environment has to emit; absent = none. */
  readonly counters?: readonly string[];
  readonly sampler: Sampler;
  readonly replay?: Replay;
  readonly keepUnfinished?: KeepUnfinished;
  /**
   * Live columns computed with the weights at hand when the batch is sealed. `value` adds the step column `values` and the
   * row column `bootstrapValues`, `logprob` adds `proximalLogprobs`, `entropy` `entropies`, `policy` `policies` [N·P],
   * `postValue` `postValues`, `componentValues` a column of that name [N·K].
   */
  readonly evaluate: readonly LiveColumn[];
  /** The same of the reference policy: `referenceLogprobs`, `referencePolicies` [N·P]. */
  readonly evaluateReference?: readonly ("logprob" | "policy")[];
  readonly derive: readonly Derive[];
  readonly terms: readonly Term[];
  readonly trackers: Readonly<Record<string, Tracker>>;
  readonly update: UpdatePlan;
}

/** How sure it is that a recipe is what its paper means. */
export interface Source {
  /** exact = checked against code or the paper's text; note = against what others write of it; derived = worked out here */
  readonly confidence: "exact" | "note" | "derived";
  readonly checked: string;
}

/** A change that any recipe can have, by name. */
export interface ModifierDefinition<P = unknown> {
  readonly id: string;
  /** One line, with the paper. */
  readonly summary: string;
  readonly source: Source;
  readonly params: z.ZodType<P>;
  apply(recipe: Recipe, params: P): Recipe;
}

/** A method by name: its parameters, with bounds and defaults, and the recipe they make. */
export interface RecipeDefinition<P = unknown> {
  readonly id: string;
  /** One line, with the paper. */
  readonly summary: string;
  readonly source: Source;
  readonly params: z.ZodType<P>;
  build(params: P): Recipe;
}
