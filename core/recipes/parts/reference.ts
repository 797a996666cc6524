/** A KL to a reference policy that is held fixed, for methods that can do without one. */
import { z } from "zod";
import type { Aggregator } from "../../algo/aggregate.js";
import type { Recipe } from "../../slots/recipe.js";
import { referenceKlTerm } from "./terms.js";

export const klCoefficient = z
  .number()
  .min(0)
  .max(1000)
  .default(0)
  .describe("Weight β of the KL to the reference policy; 0 = there is none, above 0 set reference.policy");

/** The recipe with the step column `referenceLogprobs`. */
export function withReference(recipe: Recipe): Recipe {
  const { requires, evaluateReference = [] } = recipe;
  return {
    ...recipe,
    requires: [...new Set([...requires, "reference" as const])],
    evaluateReference: [...new Set([...evaluateReference, "logprob" as const])],
  };
}

/** The recipe with β times the KL to the reference policy in its loss; unchanged where β = 0. */
export function withReferenceKl(
  recipe: Recipe,
  beta: number,
  aggregator: Aggregator,
  options?: Parameters<typeof referenceKlTerm>[2],
): Recipe {
  if (beta === 0) return recipe;
  const term = referenceKlTerm(beta, aggregator, options);
  return withReference({ ...recipe, terms: [...recipe.terms, term] });
}
