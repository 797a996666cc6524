/** Runs a recipe's slots: derives, and terms to loss and cotangents. Float64, no tensors. */
import {
  addCotangent,
  aggregateWeights,
  scaleWeights,
  weightedLoss,
  type Aggregator,
} from "../algo/aggregate.js";
import { lossAndGate } from "../algo/arrays.js";
import type { Columns, Cotangents, LiveColumn } from "../engine/engine.js";
import { SkeinError } from "../errors.js";
import { selectedMask, stepColumn, withColumns, type Batch, type ColumnSet } from "./batch.js";
import type { DeriveContext, Readings, Recipe, Term } from "./recipe.js";
import { selectRows } from "./select.js";

/** Applies the recipe's derives of one moment, in order. */
export function deriveColumns(
  recipe: Recipe,
  when: "seal" | "step",
  batch: Batch,
  context: DeriveContext,
): Batch {
  return recipe.derive
    .filter((derive) => derive.when === when)
    .reduce((current, derive) => {
      for (const name of derive.needs) stepColumn(current, name);
      const { rows, mask, ...columns } = derive.run(current, context);
      const changed = withColumns(mask === undefined ? current : { ...current, mask }, columns);
      return rows === undefined ? changed : selectRows(changed, rows);
    }, batch);
}

export interface Evaluation {
  /** Σ coefficient·κ·w·φ */
  readonly loss: number;
  readonly cotangents: Cotangents;
  /** Each term's aggregated φ (without its coefficient) under its id, and what the terms report. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Live columns that terms differentiate or derives of a minibatch read. */
export function liveColumns(recipe: Recipe): LiveColumn[] {
  const read = recipe.derive.flatMap((derive) => derive.live ?? []);
  return [...new Set([...recipe.terms.map((term) => term.on), ...read])];
}

/** κ·w of terms' steps, where κ of all terms that aggregate alike is worked out once. */
class TermWeights {
  private readonly wholes = new Map<Aggregator, Float64Array>();

  constructor(private readonly batch: Batch) {}

  of({ aggregator, select, weights = [] }: Term): Float64Array {
    const whole = select === undefined ? this.whole(aggregator) : this.aggregated(aggregator, select);
    if (weights.length === 0) return whole;
    const scaled = whole.slice();
    for (const name of weights) scaleWeights(scaled, stepColumn(this.batch, name));
    return scaled;
  }

  private whole(aggregator: Aggregator): Float64Array {
    const kappa = this.wholes.get(aggregator) ?? this.aggregated(aggregator);
    this.wholes.set(aggregator, kappa);
    return kappa;
  }

  private aggregated(aggregator: Aggregator, select?: string): Float64Array {
    return aggregateWeights(aggregator, selectedMask(this.batch, select), this.batch.offsets);
  }
}

function coefficientOf({ coefficient }: Term, readings: Readings): number {
  if (typeof coefficient === "number") return coefficient;
  const value = readings[coefficient.tracker]?.[coefficient.name];
  if (value !== undefined) return value;
  throw new SkeinError(
    "RECIPE_INVALID",
    `recipe: no tracker shows ${coefficient.tracker}.${coefficient.name}`,
  );
}

/** Derives what the minibatch's live columns are needed for, then loss and ∂loss/∂column. */
export function evaluateTerms(
  recipe: Recipe,
  minibatch: Batch,
  columns: Columns<LiveColumn>,
  { readings, random }: Pick<DeriveContext, "readings" | "random">,
): Evaluation {
  const names = Object.keys(columns) as LiveColumn[];
  const live: ColumnSet = Object.fromEntries(
    names.map((name) => [name, new Float64Array(columns[name] ?? [])]),
  );
  const batch = deriveColumns(recipe, "step", minibatch, { readings, live, random });
  const termWeights = new TermWeights(batch);
  const cotangents: Partial<Record<LiveColumn, Float64Array>> = {};
  const stats: Record<string, number> = {};
  let loss = 0;
  for (const term of recipe.terms) {
    const column = live[term.on];
    if (column === undefined) {
      throw new SkeinError(
        "RECIPE_INVALID",
        `recipe ${recipe.id}: term ${term.id} needs the live column ${term.on}`,
      );
    }
    const { steps } = batch.inputs;
    const out = lossAndGate(steps, column.length / steps);
    Object.assign(stats, term.evaluate(column, batch, out));
    const coefficient = coefficientOf(term, readings);
    const weights = termWeights.of(term);
    const value = weightedLoss(weights, out.loss);
    loss += coefficient * value;
    stats[term.id] = value;
    const cotangent = (cotangents[term.on] ??= new Float64Array(column.length));
    addCotangent(cotangent, weights, out.gate, coefficient);
  }
  return { loss, cotangents, stats };
}
