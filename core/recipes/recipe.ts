/**
 * A method is data: five slots filled with pure functions.
 * sampler → derive → terms → update, with trackers as the only state between batches.
 */
import type { z } from "zod";
import type { Aggregator } from "../algo/aggregate.js";
import type { LossAndGate } from "../algo/arrays.js";
import type { LiveColumn } from "../engine/engine.js";
import type { Batch, ColumnSet } from "./batch.js";

/** Numbers each tracker shows, by tracker and name. */
export type Readings = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What a recipe cannot do without. groups = rows of one task from one initial state, complete (`groups` in a run file) */
export type Requirement = "groups";

/** When a batch is sealed. */
export interface Sampler {
  /** Steps at which a batch is complete; the last rollout is taken whole. */
  readonly batchSteps: number;
}

/** Detached arithmetic that adds columns. Pure. */
export interface Derive {
  readonly id: string;
  /** seal = once, on the whole batch; step = on every minibatch */
  readonly when: "seal" | "step";
  /** Step columns it reads. */
  readonly needs: readonly string[];
  /** Step columns it adds or replaces. */
  readonly writes: readonly string[];
  run(batch: Batch, readings: Readings): { readonly step?: ColumnSet; readonly row?: ColumnSet };
}

/** coefficient · Σ κ·φ(x) for one live column x. */
export interface Term {
  readonly id: string;
  readonly on: LiveColumn;
  readonly coefficient: number;
  readonly aggregator: Aggregator;
  /** Step columns it reads. */
  readonly needs: readonly string[];
  /** Writes φ and ∂φ/∂x for each step; may return numbers worth watching. */
  evaluate(live: Float64Array, batch: Batch, out: LossAndGate): Readonly<Record<string, number>>;
}

/** State kept between batches and in checkpoints; JSON. Observed before the batch is derived from. */
export interface Tracker<S = unknown> {
  readonly initial: S;
  observe(state: S, batch: Batch): S;
  read(state: S): Readonly<Record<string, number>>;
}

/** How a sealed batch becomes optimiser steps. */
export interface UpdatePlan {
  readonly epochs: number;
  readonly minibatches: number;
  /** What minibatches are made of: rows where something of a row is summed over its steps. */
  readonly minibatchesOf: "steps" | "rows";
  readonly learningRate: number;
  /** Learning rate falls linearly to 0 at stop.envSteps. */
  readonly anneal: boolean;
  readonly maxGradNorm: number;
  readonly adamEpsilon: number;
  /** Epochs end early once KL(π_behaviour ‖ π) of a minibatch, nats, exceeds this; null = never. */
  readonly targetKl: number | null;
}

export interface Recipe {
  readonly id: string;
  readonly requires: readonly Requirement[];
  readonly sampler: Sampler;
  /**
   * Live columns computed with the weights at hand when the batch is sealed. `value` adds the step column
   * `values` and the row column `bootstrapValues`, `logprob` adds `proximalLogprobs`.
   */
  readonly evaluate: readonly LiveColumn[];
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

/** A method by name: its parameters, with bounds and defaults, and the recipe they make. */
export interface RecipeDefinition<P = unknown> {
  readonly id: string;
  /** One line, with the paper. */
  readonly summary: string;
  readonly source: Source;
  readonly params: z.ZodType<P>;
  build(params: P): Recipe;
}
