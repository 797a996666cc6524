/** docs/methods.md: every method, written from the recipes themselves. */
import { markdownTable } from "../../core/markdown.js";
import { recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { RecipeDefinition } from "../../core/recipes/recipe.js";

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

export function methodsPage(): string {
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
    "Source: exact = checked against published code or the paper's own text; note = against what others write of it; derived =",
    "worked out from sourced statements.",
    "",
    "Verified: each against numbers worked out by hand (`test/recipes`), the derivative of each loss against central",
    "differences (`test/algo`), and by a short training run with real processes (`test/e2e/recipes.test.ts`).",
    "",
  ].join("\n");
}
