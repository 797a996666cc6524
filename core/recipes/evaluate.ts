/** Runs a recipe's slots: derives, and terms to loss and cotangents. Float64, no tensors. */
import { addCotangent, aggregateWeights, weightedLoss } from "../algo/aggregate.js";
import { lossAndGate } from "../algo/arrays.js";
import type { Columns, Cotangents, LiveColumn } from "../engine/engine.js";
import { SkeinError } from "../errors.js";
import { stepColumn, withColumns, type Batch } from "./batch.js";
import type { Readings, Recipe } from "./recipe.js";

/** Applies the recipe's derives of one moment, in order. */
export function deriveColumns(
  recipe: Recipe,
  when: "seal" | "step",
  batch: Batch,
  readings: Readings,
): Batch {
  return recipe.derive
    .filter((derive) => derive.when === when)
    .reduce((current, derive) => {
      for (const name of derive.needs) stepColumn(current, name);
      return withColumns(current, derive.run(current, readings));
    }, batch);
}

export interface Evaluation {
  /** Σ coefficient·κ·φ */
  readonly loss: number;
  readonly cotangents: Cotangents;
  /** Each term's aggregated φ (without its coefficient) under its id, and what the terms report. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Live columns the terms differentiate. */
export function liveColumns(recipe: Recipe): LiveColumn[] {
  return [...new Set(recipe.terms.map((term) => term.on))];
}

/** loss and ∂loss/∂column of a minibatch, given its live columns. */
export function evaluateTerms(recipe: Recipe, batch: Batch, live: Columns<LiveColumn>): Evaluation {
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
    const out = lossAndGate(column.length);
    Object.assign(stats, term.evaluate(Float64Array.from(column), batch, out));
    const kappa = aggregateWeights(term.aggregator, batch.mask, batch.offsets);
    const value = weightedLoss(kappa, out.loss);
    loss += term.coefficient * value;
    stats[term.id] = value;
    const cotangent = (cotangents[term.on] ??= new Float64Array(column.length));
    addCotangent(cotangent, kappa, out.gate, term.coefficient);
  }
  return { loss, cotangents, stats };
}
