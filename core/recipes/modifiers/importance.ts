/**
 * Correction for a policy that acted which is not the one that is trained: ratios are taken to the proximal policy π_p,
 * and importance weights w = π_p/π_b stand for the rest of the way to the behaviour policy π_b.
 */
import { z } from "zod";
import { importanceWeights, type ImportanceBound, type ImportanceLevel } from "../../algo/importance.js";
import { proximalLogprobs } from "../../algo/proximal.js";
import { stepColumn, type Batch } from "../../slots/batch.js";
import type { Derive, Recipe, Term } from "../../slots/recipe.js";
import { refusal } from "./refusal.js";

export const weightLevel = z
  .enum(["token", "row-sum", "row-mean"])
  .default("token")
  .describe(
    "What one importance weight is of: a step, or all steps of a row by the sum or mean of their log-ratios",
  );

export const normalizeWeights = z
  .boolean()
  .default(false)
  .describe("Divide importance weights by their mean over the batch");

/** Step column of the weights. */
const WEIGHTS = "importanceWeights";

/** The proximal policy is that of the weights that seal the batch. */
const recompute: Derive = {
  id: "recomputeOldLogprobs",
  when: "seal",
  needs: ["proximalLogprobs"],
  writes: ["oldLogprobs"],
  run: (batch) => ({ step: { oldLogprobs: stepColumn(batch, "proximalLogprobs") } }),
};

/** The proximal policy is guessed from the live one, by how many versions lie between. */
const interpolate: Derive = {
  id: "interpolateOldLogprobs",
  when: "step",
  needs: ["behaviorLogprobs", "policyLags"],
  writes: ["oldLogprobs"],
  live: ["logprob"],
  run: (batch, { live }) => {
    const oldLogprobs = proximalLogprobs({
      logprobs: live["logprob"]!,
      behaviorLogprobs: stepColumn(batch, "behaviorLogprobs"),
      policyLags: stepColumn(batch, "policyLags"),
    });
    return { step: { oldLogprobs } };
  },
};

export interface Correction {
  /** recomputed = a forward pass over the sealed batch; interpolated = none */
  readonly proximal: "recomputed" | "interpolated";
  readonly level: ImportanceLevel;
  readonly bound: ImportanceBound;
  readonly normalize: boolean;
}

function weigh(when: Derive["when"], { level, bound, normalize: batchNormalize }: Correction): Derive {
  const weightsOf = (batch: Batch): Float64Array =>
    importanceWeights(
      {
        oldLogprobs: stepColumn(batch, "oldLogprobs"),
        behaviorLogprobs: stepColumn(batch, "behaviorLogprobs"),
        mask: batch.mask,
        offsets: batch.offsets,
      },
      { level, bound, batchNormalize },
    );
  return {
    ...{ id: WEIGHTS, when, needs: ["oldLogprobs", "behaviorLogprobs"], writes: [WEIGHTS] },
    run: (batch) => ({ step: { [WEIGHTS]: weightsOf(batch) } }),
  };
}

const takesRatio = ({ needs }: Pick<Term, "needs">): boolean => needs.includes("oldLogprobs");

/**
 * Every term that takes a ratio to the old policy is weighed, and takes it to the proximal one. `by` is the modifier's
 * id. Throws RECIPE_INVALID where there is no such term, or somebody else has set the old policy already.
 */
export function corrected(recipe: Recipe, by: string, correction: Correction): Recipe {
  if (!recipe.terms.some(takesRatio)) {
    throw refusal(by, recipe, "takes no ratio to the old policy: there is nothing to weigh");
  }
  const corrector = recipe.derive.find(({ writes }) => writes.includes("oldLogprobs"));
  if (corrector !== undefined) {
    throw refusal(by, recipe, `has another old policy already (${corrector.id}): leave one of the two out`);
  }
  const recomputed = correction.proximal === "recomputed";
  if (!recomputed && correction.level !== "token" && recipe.update.minibatchesOf === "steps") {
    throw refusal(
      by,
      recipe,
      "has minibatches of single steps: set weightLevel: token or proximal: recomputed",
    );
  }
  return {
    ...recipe,
    evaluate: recomputed ? [...new Set([...recipe.evaluate, "logprob" as const])] : recipe.evaluate,
    derive: [
      recomputed ? recompute : interpolate,
      weigh(recomputed ? "seal" : "step", correction),
      ...recipe.derive,
    ],
    terms: recipe.terms.map((term) =>
      takesRatio(term) ? { ...term, weights: [...(term.weights ?? []), WEIGHTS] } : term,
    ),
  };
}
