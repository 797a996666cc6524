/** Random groups of rows with every column that a recipe may read, live columns among them. */
import type { Columns, LiveColumn } from "../../core/engine/engine.js";
import { Random } from "../../core/random.js";
import { stepColumn, withColumns, type Batch } from "../../core/slots/batch.js";
import { deriveColumns, evaluateTerms, liveColumns, type Evaluation } from "../../core/slots/evaluate.js";
import type { DeriveContext, Readings, Recipe } from "../../core/slots/recipe.js";

const ACTIONS = 3;
/** Numbers are multiples of it, and so exact in float32, a power of two of them more or less included. */
const GRID = 2 ** -10;

export interface GroupsShape {
  readonly groups?: number;
  readonly size?: number;
  /** Share of steps that the policy did not choose. */
  readonly masked?: number;
  readonly score?: (random: Random, row: number) => number;
}

/**
 * Rows of 1 to 5 steps; groups in any order, and rows in them. The step columns `live logprob`, `live entropy` … are the live
 * columns, a little off those of the policy that acted.
 */
export function randomGroups(
  random: Random,
  { groups = 4, size = 4, masked = 0.2, score = () => random.normal() }: GroupsShape = {},
): Batch {
  const rows = groups * size;
  const offsets = new Uint32Array(rows + 1);
  for (let i = 0; i < rows; i++) offsets[i + 1] = offsets[i]! + 1 + random.integer(5);
  const steps = offsets[rows]!;
  const onGrid = (x: number): number => Math.round(x / GRID) * GRID;
  const normals = (mean: number, scale: number, length = steps): Float64Array =>
    Float64Array.from({ length }, () => onGrid(mean + scale * random.normal()));
  const near = (x: Float64Array, scale: number): Float64Array =>
    x.map((y) => y + onGrid(scale * random.normal()));
  const ofRows = (value: (row: number) => number): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => value(row));
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  random.shuffle(order);

  const oldLogprobs = normals(-1, 0.3);
  const [policies, entropies, values] = [normals(0, 1, ACTIONS * steps), normals(1, 0.2), normals(0, 1)];
  return {
    offsets,
    mask: Uint8Array.from({ length: steps }, () => (random.uniform() < masked ? 0 : 1)),
    terminated: Uint8Array.from({ length: rows }, () => random.integer(2)),
    inputs: {
      steps,
      observations: Float32Array.from(normals(0, 1)),
      actions: Int32Array.from({ length: steps }, () => random.integer(ACTIONS)),
      actionMasks: null,
    },
    initialStates: new Float32Array(0),
    finalObservations: Float32Array.from({ length: rows }, () => random.integer(2)),
    step: {
      ...{ rewards: normals(0, 1), versions: new Float64Array(steps) },
      anchor: normals(0, 0).map(() => random.integer(3)),
      ...{ behaviorLogprobs: oldLogprobs, oldLogprobs, proximalLogprobs: near(oldLogprobs, 0.1) },
      ...{ values, entropies, policies },
      ...{ referenceLogprobs: near(oldLogprobs, 0.3), referencePolicies: near(policies, 0.5) },
      ...{ "live logprob": near(oldLogprobs, 0.2), "live entropy": near(entropies, 0.2) },
      ...{ "live value": near(values, 0.2), "live policy": near(policies, 0.3) },
      ...{ postValues: near(values, 0.3), "live postValue": near(values, 0.4) },
      fresh: normals(0, 0).map(() => (random.integer(4) === 0 ? 0 : 1)),
    },
    row: {
      score: ofRows((row) => score(random, order[row]!)),
      group: ofRows((row) => Math.floor(order[row]! / size)),
      task: ofRows((row) => Math.floor(order[row]! / size) % 3),
      member: ofRows((row) => order[row]! % size),
      trajectory: ofRows((row) => row),
      truncated: new Float64Array(rows),
      bootstrapValues: normals(0, 1, rows),
      episodeReturn: normals(0, 1, rows),
    },
  };
}

/** The batch with actions of one number each, drawn from mixtures of two Gaussians. */
export function withMixtures(batch: Batch, random: Random): Batch {
  const { steps } = batch.inputs;
  const normals = (width: number): Float64Array =>
    Float64Array.from({ length: steps * width }, () => Math.round(random.normal() / GRID) * GRID);
  const inputs = { ...batch.inputs, actions: Float32Array.from(normals(1)) };
  const step = { policies: normals(6), "live policy": normals(6), "live componentValues": normals(2) };
  return withColumns({ ...batch, inputs }, { step });
}

/** Steps that the policy chose, row by row. */
export function chosenOf({ offsets, mask }: Batch): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, row) =>
    Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_x, k) => offsets[row]! + k).filter(
      (t) => mask[t] === 1,
    ),
  );
}

export const liveName = (column: LiveColumn): string => `live ${column}`;

/** The live columns of `batch` that `recipe` reads. */
export function liveOf(recipe: Recipe, batch: Batch): Columns<LiveColumn> {
  return Object.fromEntries(
    liveColumns(recipe).map((name) => [name, Float32Array.from(stepColumn(batch, liveName(name)))]),
  );
}

/** What the recipe's trackers show once they have seen the batch twice. */
export function readingsOf(recipe: Recipe, batch: Batch): Readings {
  return Object.fromEntries(
    Object.entries(recipe.trackers).map(([name, tracker]) => {
      const once = tracker.observe(tracker.initial, batch);
      return [name, tracker.read(tracker.observe(tracker.conclude?.(once, {}, {}) ?? once, batch))];
    }),
  );
}

/** The batch with all that the recipe derives from it. */
export function derivedFrom(recipe: Recipe, batch: Batch, readings = readingsOf(recipe, batch)): Batch {
  const context = (live: DeriveContext["live"]): DeriveContext => ({
    ...{ readings, live, random: new Random(1) },
  });
  const live = Object.entries(liveOf(recipe, batch)).map(
    ([name, x]) => [name, Float64Array.from(x)] as const,
  );
  const sealed = deriveColumns(recipe, "seal", batch, context({}));
  return deriveColumns(recipe, "step", sealed, context(Object.fromEntries(live)));
}

/** Loss and cotangents from columns that are derived already. */
export function evaluateDerived(recipe: Recipe, derived: Batch, readings: Readings): Evaluation {
  const context = { readings, random: new Random(1) };
  return evaluateTerms({ ...recipe, derive: [] }, derived, liveOf(recipe, derived), context);
}

/** Loss and cotangents of the recipe on the batch. */
export function evaluateGroups(
  recipe: Recipe,
  batch: Batch,
  readings = readingsOf(recipe, batch),
): Evaluation {
  return evaluateDerived(recipe, derivedFrom(recipe, batch, readings), readings);
}

/** Central differences of `loss` with respect to each number of a live column of the batch. */
export function slopesOf(
  loss: (batch: Batch) => number,
  batch: Batch,
  column: LiveColumn,
  h = 1e-5,
): number[] {
  const name = liveName(column);
  const base = stepColumn(batch, name);
  const at = (k: number, x: number): number =>
    loss({ ...batch, step: { ...batch.step, [name]: base.with(k, x) } });
  return Array.from(base, (x, k) => (at(k, x + h) - at(k, x - h)) / (2 * h));
}
