/** A recipe's loss on a minibatch, between the columns that an engine has and those of the minibatch's steps. */
import type { Columns, LiveColumn } from "../../core/engine/engine.js";
import type { Layout } from "../../core/slots/arrangement.js";
import type { Batch } from "../../core/slots/batch.js";
import { evaluateTerms, type Evaluation } from "../../core/slots/evaluate.js";
import type { DeriveContext, Recipe } from "../../core/slots/recipe.js";

/** `change` applied to each column there is. */
function mapColumns<A, B>(
  columns: Readonly<Partial<Record<LiveColumn, A>>>,
  change: (column: A) => B,
): Partial<Record<LiveColumn, B>> {
  const changed: Partial<Record<LiveColumn, B>> = {};
  for (const name of Object.keys(columns) as LiveColumn[]) changed[name] = change(columns[name]!);
  return changed;
}

/** What an engine is asked for and calls back: live columns to loss and cotangents, both as the engine lays them out. */
export function lossOn(
  recipe: Recipe,
  minibatch: Batch,
  layout: Layout,
  context: Pick<DeriveContext, "readings" | "random">,
): (live: Columns<LiveColumn>) => Evaluation {
  return (live) => {
    const { cotangents, ...rest } = evaluateTerms(
      recipe,
      minibatch,
      mapColumns(live, layout.toSteps),
      context,
    );
    return { ...rest, cotangents: mapColumns(cotangents, layout.toInputs) };
  };
}
