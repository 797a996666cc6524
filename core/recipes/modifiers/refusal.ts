/** What a modifier says where it does not fit. */
import { SkeinError } from "../../errors.js";
import type { Recipe } from "../../slots/recipe.js";

/** RECIPE_INVALID: `modifier <modifier>: recipe <id> <why>`. */
export function refusal(modifier: string, { id }: Recipe, why: string): SkeinError {
  return new SkeinError("RECIPE_INVALID", `modifier ${modifier}: recipe ${id} ${why}`);
}
