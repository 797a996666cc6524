/** One batch through a recipe: evaluate, derive, then epochs of minibatches. Knows no network, file or clock. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { informativeShare } from "../../core/algo/group-statistics.js";
import type { Engine, LiveColumn } from "../../core/engine/engine.js";
import type { OutputColumn } from "../../core/model/model.js";
import type { Random } from "../../core/random.js";
import { arrangementOf, wholeRows } from "../../core/slots/arrangement.js";
import { rowColumn, withColumns, type Batch } from "../../core/slots/batch.js";
import { EVALUATED, OF_REFERENCE } from "../../core/slots/check.js";
import { deriveColumns, liveColumns } from "../../core/slots/evaluate.js";
import type { DeriveContext, Recipe } from "../../core/slots/recipe.js";
import { selectRows, splitFinalSteps, withFinalSteps } from "../../core/slots/select.js";
import { SkeinError } from "../../core/errors.js";
import { rowCount } from "../../core/types.js";
import { lossOn } from "./loss.js";
import { partOf, trustRegionStep } from "./trust-region.js";

/** Steps per forward call while a batch is evaluated, about: bounds memory, not results. */
const EVALUATE_STEPS = 4096;

export interface BatchResult {
  /** Optimiser steps applied. */
  readonly updates: number;
  /** Optimiser steps left out because their gradient was not finite. */
  readonly skipped: number;
  /** Means over the batch's minibatches. */
  readonly stats: Readonly<Record<string, number>>;
  /** The same over those of the last pass. */
  readonly lastPass: Readonly<Record<string, number>>;
  /** What deriving the whole batch took. */
  readonly sealSeconds: number;
}

/** What only a forward pass is asked of. */
export type Forward = Pick<Engine, "forward">;

/**
 * Forward over every row and the observation it ends with: [(N+R)·width] each, as `withFinalSteps` orders them. In
 * pieces, yielding to the event loop between them.
 */
async function forwardRows<K extends OutputColumn>(
  engine: Forward,
  batch: Batch,
  want: readonly K[],
): Promise<Record<K, Float64Array>> {
  const rows = rowCount(batch);
  const { steps } = batch.inputs;
  const result: Partial<Record<K, Float64Array>> = {};
  const arrangement = arrangementOf(batch);
  let at = 0;
  for (const part of wholeRows.split(batch, firstTo(rows), Math.ceil(steps / EVALUATE_STEPS))) {
    const piece = withFinalSteps(selectRows(batch, part));
    const layout = arrangement.layOut(piece);
    const columns = await engine.forward(layout.inputs, want);
    for (const column of want) {
      const made = layout.toSteps(columns[column]);
      const width = made.length / piece.inputs.steps;
      (result[column] ??= new Float64Array((steps + rows) * width)).set(made, at * width);
    }
    at += piece.inputs.steps;
    await nextTurn();
  }
  return result as Record<K, Float64Array>;
}

/** Adds the columns that the recipe wants computed with the weights at hand, and with those of the reference policy. */
async function evaluateColumns(
  engine: Forward,
  reference: Forward | null,
  recipe: Recipe,
  batch: Batch,
): Promise<Batch> {
  const step: Record<string, Float64Array> = {};
  const row: Record<string, Float64Array> = {};
  const add = async <K extends LiveColumn>(
    from: Forward,
    want: readonly K[],
    names: Readonly<Record<K, string>>,
  ): Promise<void> => {
    const columns = await forwardRows(from, batch, want);
    for (const column of want) {
      const { steps, finals } = splitFinalSteps(batch, columns[column]);
      step[names[column]] = steps;
      if (column === "value") row["bootstrapValues"] = finals;
    }
  };
  if (recipe.evaluate.length > 0) await add(engine, recipe.evaluate, EVALUATED);
  const ofReference = recipe.evaluateReference ?? [];
  if (ofReference.length > 0) {
    if (reference === null) {
      throw new SkeinError(
        "RECIPE_INVALID",
        `recipe ${recipe.id}: no reference policy; set reference.policy`,
      );
    }
    await add(reference, ofReference, OF_REFERENCE);
  }
  return withColumns(batch, { step, row });
}

/** 0 … count−1 */
function firstTo(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
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

export interface BatchContext extends Pick<DeriveContext, "readings"> {
  /** null = there is none */
  readonly reference: Forward | null;
  /** The one in force. */
  readonly learningRate: number;
  /** Shuffles the minibatches, and is what derives draw from. */
  readonly random: Random;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

/** `informativeGroups`: the share of the batch's groups whose scores differ. */
function groupStats({ requires }: Recipe, batch: Batch): Readonly<Record<string, number>> {
  if (!requires.includes("groups")) return {};
  return { informativeGroups: informativeShare(rowColumn(batch, "score"), rowColumn(batch, "group")) };
}

export async function trainBatch(
  engine: Engine,
  recipe: Recipe,
  batch: Batch,
  { readings, reference, learningRate, random, now }: BatchContext,
): Promise<BatchResult> {
  const { epochs, minibatches, minibatchesOf, maxGradNorm, adamEpsilon, targetKl, optimizer } = recipe.update;
  const step = { learningRate, maxGradNorm, epsilon: adamEpsilon, beta1: 0.9, beta2: 0.999 };
  const evaluated = await evaluateColumns(engine, reference, recipe, batch);
  const from = now();
  const sealed = deriveColumns(recipe, "seal", evaluated, { readings, live: {}, random });
  const sealSeconds = now() - from;
  const arrangement = arrangementOf(sealed, minibatchesOf);
  const order = firstTo(arrangement.count(sealed));
  const means = new Means();
  let lastPass = new Means();
  let updates = 0;
  let skipped = 0;
  let klExceeded = false;
  if (optimizer !== undefined) {
    const result = await trustRegionStep(engine, recipe, optimizer, sealed, { readings, random });
    means.add(result.stats);
    if (result.moved) updates++;
    else if (!result.finite) skipped++;
  }
  const fitted = optimizer === undefined ? recipe : partOf(recipe, "critic");
  const want = liveColumns(fitted);
  for (let epoch = 0; epoch < epochs && !klExceeded; epoch++) {
    random.shuffle(order);
    lastPass = new Means();
    for (const things of arrangement.split(sealed, order, minibatches)) {
      const minibatch = arrangement.select(sealed, things);
      const layout = arrangement.layOut(minibatch);
      const loss = lossOn(fitted, minibatch, layout, { readings, random });
      let stats: Readonly<Record<string, number>> = {};
      const { gradNorm, applied } = await engine.update(
        layout.inputs,
        want,
        (live) => {
          const evaluation = loss(live);
          stats = { ...evaluation.stats, loss: evaluation.loss };
          return evaluation.cotangents;
        },
        step,
      );
      means.add({ ...stats, gradNorm });
      lastPass.add(stats);
      if (applied) updates++;
      else skipped++;
      klExceeded ||= targetKl !== null && (stats["klK3"] ?? 0) > targetKl;
      await nextTurn();
    }
  }
  const ofBatch = { ...groupStats(recipe, batch), learningRate };
  const stats = { ...means.read(), ...ofBatch };
  return { updates, skipped, stats, lastPass: lastPass.read(), sealSeconds };
}
