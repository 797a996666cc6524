/** One batch through a recipe: evaluate, derive, then epochs of minibatches. Knows no network, file or clock. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Engine, LiveColumn } from "../../core/engine/engine.js";
import type { OutputColumn } from "../../core/model/model.js";
import type { Random } from "../../core/random.js";
import { arrangementOf, wholeRows } from "../../core/recipes/arrangement.js";
import { withColumns, type Batch } from "../../core/recipes/batch.js";
import { deriveColumns, evaluateTerms, liveColumns } from "../../core/recipes/evaluate.js";
import type { Readings, Recipe } from "../../core/recipes/recipe.js";
import { selectRows, splitFinalSteps, withFinalSteps } from "../../core/recipes/select.js";
import { rowCount } from "../../core/types.js";

/** Steps per forward call while a batch is evaluated, about: bounds memory, not results. */
const EVALUATE_STEPS = 4096;

export interface BatchResult {
  /** Optimiser steps applied. */
  readonly updates: number;
  /** Optimiser steps left out because their gradient was not finite. */
  readonly skipped: number;
  /** Means over the batch's minibatches. */
  readonly stats: Readonly<Record<string, number>>;
}

/**
 * Forward over every row and the observation it ends with: [N+R] each, as `withFinalSteps` orders them. In pieces,
 * yielding to the event loop between them.
 */
async function forwardRows<K extends OutputColumn>(
  engine: Engine,
  batch: Batch,
  want: readonly K[],
): Promise<Record<K, Float64Array>> {
  const rows = rowCount(batch);
  const { steps } = batch.inputs;
  const empty = want.map((column) => [column, new Float64Array(steps + rows)]);
  const result = Object.fromEntries(empty) as Record<K, Float64Array>;
  const arrangement = arrangementOf(batch);
  let at = 0;
  for (const part of wholeRows.split(batch, firstTo(rows), Math.ceil(steps / EVALUATE_STEPS))) {
    const piece = withFinalSteps(selectRows(batch, part));
    const layout = arrangement.layOut(piece);
    const columns = await engine.forward(layout.inputs, want);
    for (const column of want) result[column].set(layout.toSteps(columns[column]), at);
    at += piece.inputs.steps;
    await nextTurn();
  }
  return result;
}

/** Adds the columns that the recipe wants computed with the weights at hand. */
async function evaluateColumns(engine: Engine, recipe: Recipe, batch: Batch): Promise<Batch> {
  if (recipe.evaluate.length === 0) return batch;
  const columns = await forwardRows(engine, batch, recipe.evaluate);
  const step: Record<string, Float64Array> = {};
  const row: Record<string, Float64Array> = {};
  if (recipe.evaluate.includes("logprob")) {
    step["proximalLogprobs"] = splitFinalSteps(batch, columns.logprob).steps;
  }
  if (recipe.evaluate.includes("value")) {
    const { steps, finals } = splitFinalSteps(batch, columns.value);
    step["values"] = steps;
    row["bootstrapValues"] = finals;
  }
  return withColumns(batch, { step, row });
}

/** 0 … count−1 */
function firstTo(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** `change` applied to each column there is. */
function mapColumns<A, B>(
  columns: Readonly<Partial<Record<LiveColumn, A>>>,
  change: (column: A) => B,
): Partial<Record<LiveColumn, B>> {
  const changed: Partial<Record<LiveColumn, B>> = {};
  for (const name of Object.keys(columns) as LiveColumn[]) changed[name] = change(columns[name]!);
  return changed;
}

class Means {
  private readonly sums = new Map<string, { sum: number; count: number }>();

  add(stats: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(stats)) {
      if (!Number.isFinite(value)) continue;
      const entry = this.sums.get(name) ?? { sum: 0, count: 0 };
      this.sums.set(name, { sum: entry.sum + value, count: entry.count + 1 });
    }
  }

  read(): Record<string, number> {
    return Object.fromEntries([...this.sums].map(([name, { sum, count }]) => [name, sum / count]));
  }
}

/** Trains on `batch` in place. `learningRate` is the one in force; `random` shuffles the minibatches. */
export async function trainBatch(
  engine: Engine,
  recipe: Recipe,
  batch: Batch,
  readings: Readings,
  learningRate: number,
  random: Random,
): Promise<BatchResult> {
  const { epochs, minibatches, minibatchesOf, maxGradNorm, adamEpsilon, targetKl } = recipe.update;
  const step = { learningRate, maxGradNorm, epsilon: adamEpsilon, beta1: 0.9, beta2: 0.999 };
  const sealed = deriveColumns(recipe, "seal", await evaluateColumns(engine, recipe, batch), readings);
  const arrangement = arrangementOf(sealed, minibatchesOf);
  const order = firstTo(arrangement.count(sealed));
  const want = liveColumns(recipe);
  const means = new Means();
  let updates = 0;
  let skipped = 0;
  let klExceeded = false;
  for (let epoch = 0; epoch < epochs && !klExceeded; epoch++) {
    random.shuffle(order);
    for (const things of arrangement.split(sealed, order, minibatches)) {
      const minibatch = deriveColumns(recipe, "step", arrangement.select(sealed, things), readings);
      const layout = arrangement.layOut(minibatch);
      let stats: Readonly<Record<string, number>> = {};
      const { gradNorm, applied } = await engine.update(
        layout.inputs,
        want,
        (live) => {
          const evaluation = evaluateTerms(recipe, minibatch, mapColumns(live, layout.toSteps));
          stats = { ...evaluation.stats, loss: evaluation.loss };
          return mapColumns(evaluation.cotangents, layout.toInputs);
        },
        step,
      );
      means.add({ ...stats, gradNorm });
      if (applied) updates++;
      else skipped++;
      klExceeded ||= targetKl !== null && (stats["klK3"] ?? 0) > targetKl;
      await nextTurn();
    }
  }
  return { updates, skipped, stats: { ...means.read(), learningRate } };
}
