/** The methods a run file can name. */
import { parseStrict, suggestion } from "../config/validate.js";
import { SkeinError } from "../errors.js";
import { checkRecipe } from "./check.js";
import { ppo } from "./ppo.js";
import type { Recipe, RecipeDefinition } from "./recipe.js";

export const recipeDefinitions: readonly RecipeDefinition[] = [ppo];

/** Throws RECIPE_UNKNOWN with the nearest known id. */
export function findRecipe(id: string): RecipeDefinition {
  const found = recipeDefinitions.find((definition) => definition.id === id);
  if (found === undefined) {
    const known = recipeDefinitions.map((definition) => definition.id);
    throw new SkeinError("RECIPE_UNKNOWN", `recipe.id: no recipe "${id}".${suggestion(id, known)}`);
  }
  return found;
}

/** A recipe with its parameters checked: unknown keys refused, bounds kept, defaults filled in. */
export function resolveRecipe(choice: {
  readonly id: string;
  readonly params: Readonly<Record<string, unknown>>;
}): Recipe {
  const definition = findRecipe(choice.id);
  const params = parseStrict(definition.params, choice.params, `recipe ${choice.id}`, ["recipe", "params"]);
  const recipe = definition.build(params);
  checkRecipe(recipe);
  return recipe;
}
