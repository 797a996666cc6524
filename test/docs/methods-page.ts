/** docs/methods.md: every method, written from the recipes themselves. */
import { markdownTable } from "../../core/markdown.js";
import { modifierDefinitions, recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { ModifierDefinition, RecipeDefinition } from "../../core/slots/recipe.js";

function rowOf({ id, summary, source }: RecipeDefinition): string[] {
  const { requires, derive, terms } = resolveRecipe({ id, params: {} });
  const changes = [
    ...derive.map((part) => part.id),
    ...terms.map((term) => `${term.id} (${term.aggregator.name})`),
  ];
  return [
    `\`${id}\``,
    summary,
    requires.length === 0 ? "nothing more" : requires.map((requirement) => `\`${requirement}\``).join(", "),
    changes.join(", "),
    `${source.confidence}: ${source.checked}`,
  ];
}

function modifierRow({ id, summary, source }: ModifierDefinition): string[] {
  return [`\`${id}\``, summary, `${source.confidence}: ${source.checked}`];
}

export function methodsPage(): string {
  const modifiers = markdownTable([
    ["Modifier", "Change", "Source"],
    ...modifierDefinitions.map(modifierRow),
  ]);
  const table = markdownTable([
    ["Recipe", "Method", "Needs in a run file", "Made of", "Source"],
    ...recipeDefinitions.map(rowOf),
  ]);
  return [
    "# Methods",
    "",
    "What `recipe.id` in a run file may be. `npx skein recipes show <id>` prints one resolved, [config.md](config.md) has every",
    "parameter; the head of each file in `core/recipes` has formula, defaults and traps.",
    "",
    ...table,
    "",
    "## Modifiers",
    "",
    "What `recipe.modifiers` in a run file may list: changes to any recipe, made one after the other. One that does not fit is",
    "refused before anything is started. A recipe with the id of a modifier is a method changed by it.",
    "",
    ...modifiers,
    "",
    "## Sources",
    "",
    "Source: exact = checked against published code or the paper's own text; note = against what others write of it; derived =",
    "worked out from sourced statements.",
    "",
    "Verified: each against numbers worked out by hand (`test/recipes`), the derivative of each loss against central",
    "differences (`test/algo`), and by a short training run with real processes (`test/e2e/recipes.test.ts`).",
    "",
  ].join("\n");
}
