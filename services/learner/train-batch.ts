/** One batch through a recipe: evaluate, derive, then epochs of minibatches. Knows no network, file or clock. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Engine, EngineInputs } from "../../core/engine/engine.js";
import type { OutputColumn } from "../../core/model/model.js";
import type { Random } from "../../core/random.js";
import { selectSteps, withColumns, type Batch } from "../../core/recipes/batch.js";
import { deriveColumns, evaluateTerms, liveColumns } from "../../core/recipes/evaluate.js";
import type { Readings, Recipe } from "../../core/recipes/recipe.js";

/** Steps per forward call while a batch is evaluated: bounds memory, not results. */
const EVALUATE_STEPS = 4096;

export interface BatchResult {
  /** Optimiser steps applied. */
  readonly updates: number;
  /** Optimiser steps left out because their gradient was not finite. */
  readonly skipped: number;
  /** Means over the batch's minibatches. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Runs forward in pieces and yields to the event loop between them. */
async function forwardAll<K extends OutputColumn>(
  engine: Engine,
  inputs: EngineInputs,
  want: readonly K[],
): Promise<Record<K, Float64Array>> {
  const { steps, observations, actions } = inputs;
  const result = Object.fromEntries(want.map((column) => [column, new Float64Array(steps)])) as Record<
    K,
    Float64Array
  >;
  const observationWidth = observations.length / steps;
  const actionWidth = actions === null ? 0 : actions.length / steps;
  for (let at = 0; at < steps; at += EVALUATE_STEPS) {
    const end = Math.min(steps, at + EVALUATE_STEPS);
    const columns = await engine.forward(
      {
        steps: end - at,
        observations: observations.subarray(at * observationWidth, end * observationWidth),
        actions: actions === null ? null : actions.subarray(at * actionWidth, end * actionWidth),
      },
      want,
    );
    for (const column of want) result[column].set(columns[column], at);
    await nextTurn();
  }
  return result;
}

/** Adds the columns that the recipe wants computed with the weights at hand. */
async function evaluateColumns(engine: Engine, recipe: Recipe, batch: Batch): Promise<Batch> {
  const columns = await forwardAll(engine, batch.inputs, recipe.evaluate);
  const step: Record<string, Float64Array> = {};
  const row: Record<string, Float64Array> = {};
  if (recipe.evaluate.includes("logprob")) step["proximalLogprobs"] = columns.logprob;
  if (recipe.evaluate.includes("value")) {
    step["values"] = columns.value;
    const rows = batch.offsets.length - 1;
    const finals = { steps: rows, observations: batch.finalObservations, actions: null };
    row["bootstrapValues"] = (await forwardAll(engine, finals, ["value"])).value;
  }
  return withColumns(batch, { step, row });
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
  const { epochs, minibatches, maxGradNorm, adamEpsilon, targetKl } = recipe.update;
  const step = { learningRate, maxGradNorm, epsilon: adamEpsilon, beta1: 0.9, beta2: 0.999 };
  const sealed = deriveColumns(recipe, "seal", await evaluateColumns(engine, recipe, batch), readings);
  const order = Uint32Array.from({ length: sealed.inputs.steps }, (_, i) => i);
  const size = Math.ceil(order.length / minibatches);
  const want = liveColumns(recipe);
  const means = new Means();
  let updates = 0;
  let skipped = 0;
  let klExceeded = false;
  for (let epoch = 0; epoch < epochs && !klExceeded; epoch++) {
    random.shuffle(order);
    for (let at = 0; at < order.length; at += size) {
      const minibatch = deriveColumns(
        recipe,
        "step",
        selectSteps(sealed, order.subarray(at, at + size)),
        readings,
      );
      let stats: Readonly<Record<string, number>> = {};
      const { gradNorm, applied } = await engine.update(
        minibatch.inputs,
        want,
        (live) => {
          const evaluation = evaluateTerms(recipe, minibatch, live);
          stats = { ...evaluation.stats, loss: evaluation.loss };
          return evaluation.cotangents;
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
