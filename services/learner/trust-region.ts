/** One step of the policy within a bound of the KL: the optimiser of recipes with a trust region. Knows no method. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { differenceProduct, lineSearch, naturalStep } from "../../core/algo/trust-region.js";
import { FlatParameters } from "../../core/engine/flat-parameters.js";
import type { Engine } from "../../core/engine/engine.js";
import { arrangementOf } from "../../core/slots/arrangement.js";
import type { Batch } from "../../core/slots/batch.js";
import { liveColumns, type Evaluation } from "../../core/slots/evaluate.js";
import type { DeriveContext, Recipe, TrustRegion } from "../../core/slots/recipe.js";
import { lossOn } from "./loss.js";

/** Step of the central differences along a direction, relative to the weights: for float32. */
const RELATIVE_STEP = 1e-3;

export interface TrustRegionResult {
  /** false = no place of the line search was good enough: the weights are as they were. */
  readonly moved: boolean;
  /** false = the gradient was not finite, and nothing was tried. */
  readonly finite: boolean;
  /** Of the place that was found. */
  readonly stats: Readonly<Record<string, number>>;
}

/** The part of a recipe that its terms on `value` are, which Adam fits, or the rest of it, which the trust region bounds. */
export function partOf(recipe: Recipe, part: "critic" | "policy"): Recipe {
  const terms = recipe.terms.filter(({ on }) => (on === "value") === (part === "critic"));
  return { ...recipe, terms };
}

/**
 * Moves the weights of `engine` down the natural gradient of the recipe's terms on the whole sealed batch, those on `value`
 * aside, as far as the line search finds the constraint's mean within `maxKl` and the loss no higher. The engine's
 * optimiser state stays as it is.
 */
export async function trustRegionStep(
  engine: Engine,
  recipe: Recipe,
  region: TrustRegion,
  batch: Batch,
  context: Pick<DeriveContext, "readings" | "random">,
): Promise<TrustRegionResult> {
  const { version, tensors } = engine.weights(0);
  const weights = new FlatParameters(tensors);
  const flat = new Float32Array(weights.size);
  weights.fill(flat, tensors, "weights");
  const start = Float64Array.from(flat);
  const goTo = (place: Float64Array): void => {
    flat.set(place);
    engine.load({ version, tensors: weights.tensors(flat) });
  };

  const layout = arrangementOf(batch, recipe.update.minibatchesOf).layOut(batch);
  const look = (part: Recipe) => {
    const [want, loss] = [liveColumns(part), lossOn(part, batch, layout, context)];
    return {
      here: async (): Promise<Evaluation> => loss(await engine.forward(layout.inputs, want)),
      gradient: async (): Promise<Float64Array> => {
        const gradient = await engine.gradient(layout.inputs, want, (live) => loss(live).cotangents);
        await nextTurn();
        return Float64Array.from(gradient);
      },
    };
  };
  const objective = look(partOf(recipe, "policy"));
  const divergence = look({ ...recipe, terms: [region.constraint] });

  const startLoss = (await objective.here()).loss;
  const gradient = await objective.gradient();
  if (!gradient.every(Number.isFinite)) return { moved: false, finite: false, stats: {} };
  const curvature = differenceProduct(
    (place) => {
      goTo(place);
      return divergence.gradient();
    },
    start,
    RELATIVE_STEP,
  );
  const step = await naturalStep(curvature, gradient, region);
  const judge = async (place: Float64Array) => {
    goTo(place);
    const { loss, stats } = await objective.here();
    const { loss: kl } = await divergence.here();
    return { loss, kl, stats };
  };
  const found = await lineSearch(start, step, judge, { ...region, startLoss });
  goTo(found?.weights ?? start);
  if (found === null) return { moved: false, finite: true, stats: { lineSearchFailed: 1 } };
  const { kl, stats } = found.found;
  return {
    ...{ moved: true, finite: true },
    stats: { ...stats, policyKl: kl, backtracks: found.backtracks, lineSearchFailed: 0 },
  };
}
