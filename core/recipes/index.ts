/** The methods a run file can name. */
import type { RunConfig } from "../config/schema.js";
import { parseStrict, suggestion } from "../config/validate.js";
import { SkeinError } from "../errors.js";
import { checkRecipe, checkRequirements } from "./check.js";
import { bnpo } from "./bnpo.js";
import { cispo } from "./cispo.js";
import { deltaL } from "./delta-l.js";
import { drGrpo } from "./dr-grpo.js";
import { grpo } from "./grpo.js";
import { gspo } from "./gspo.js";
import { litePpo } from "./lite-ppo.js";
import { ppo } from "./ppo.js";
import type { Recipe, RecipeDefinition, Requirement } from "./recipe.js";
import { reinforcePp } from "./reinforce-pp.js";
import { rloo } from "./rloo.js";
import { sapo } from "./sapo.js";
import { spoSimple } from "./spo-simple.js";

export const recipeDefinitions: readonly RecipeDefinition[] = [
  ...[ppo, spoSimple],
  ...[grpo, drGrpo, rloo, reinforcePp, gspo, cispo, bnpo, deltaL, litePpo, sapo],
];

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

/** `resolveRecipe` of a run, which has to offer what the recipe requires. */
export function resolveRunRecipe(config: Pick<RunConfig, "recipe" | "groups">): Recipe {
  const recipe = resolveRecipe(config.recipe);
  checkRequirements(recipe, new Set<Requirement>(config.groups === null ? [] : ["groups"]));
  return recipe;
}
