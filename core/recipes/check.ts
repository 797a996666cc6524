/** Refuses a recipe that reads a column nobody gives it, before anything is started. */
import { SkeinError } from "../errors.js";
import type { Recipe, Requirement } from "./recipe.js";

/** Step columns that every assembled batch has. */
const RECORDED = ["rewards", "behaviorLogprobs"];
/** Step columns that evaluating a live column adds. */
const EVALUATED = { value: "values", logprob: "proximalLogprobs", entropy: null } as const;

/** Throws RECIPE_INVALID naming the reader, the column and what there is. */
export function checkRecipe(recipe: Recipe): void {
  const evaluated = recipe.evaluate.flatMap((column) => EVALUATED[column] ?? []);
  const available = new Set<string>([...RECORDED, ...evaluated]);
  const expect = (reader: string, needs: readonly string[]): void => {
    for (const name of needs) {
      if (available.has(name)) continue;
      throw new SkeinError(
        "RECIPE_INVALID",
        `recipe ${recipe.id}: ${reader} needs the step column "${name}"; there is ${[...available].join(", ")}`,
      );
    }
  };
  for (const when of ["seal", "step"] as const) {
    for (const derive of recipe.derive.filter((candidate) => candidate.when === when)) {
      expect(derive.id, derive.needs);
      for (const name of derive.writes) available.add(name);
    }
  }
  for (const term of recipe.terms) expect(term.id, term.needs);
}

/** What to set in the run file where a recipe's requirement is not met. */
const REMEDIES: Readonly<Record<Requirement, string>> = {
  groups: "groups of rollouts of the same task: set groups.size and groups.tasks",
};

/** Throws RECIPE_INVALID naming what is missing from a run that offers `offered`, and what to set. */
export function checkRequirements(recipe: Recipe, offered: ReadonlySet<Requirement>): void {
  for (const requirement of recipe.requires) {
    if (offered.has(requirement)) continue;
    throw new SkeinError("RECIPE_INVALID", `recipe ${recipe.id} needs ${REMEDIES[requirement]}`);
  }
}
