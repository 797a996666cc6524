/** `skein recipes`: the methods that a run file can name, and `skein recipes show <id>`: one of them resolved. */
import { z } from "zod";
import { findRecipe, recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe, RecipeDefinition } from "../../core/recipes/recipe.js";
import type { CommandHost } from "./host.js";

interface Json {
  readonly json: boolean;
}

interface Parameter {
  readonly default?: unknown;
  readonly description?: string;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export async function listRecipes(_host: CommandHost, { json }: Json): Promise<number> {
  const rows = recipeDefinitions.map(({ id, summary }) => {
    const { requires } = resolveRecipe({ id, params: {} });
    return { id, summary, requires };
  });
  if (json) {
    say(JSON.stringify(rows));
    return Promise.resolve(0);
  }
  const width = Math.max(...rows.map(({ id }) => id.length));
  for (const { id, summary, requires } of rows) {
    say(`${id.padEnd(width)}  ${summary}${requires.length === 0 ? "" : ` [needs ${requires.join(", ")}]`}`);
  }
  return Promise.resolve(0);
}

function parametersOf({ params }: RecipeDefinition): [string, Parameter][] {
  const { properties = {} } = z.toJSONSchema(params, { io: "input" });
  return Object.entries(properties as Record<string, Parameter>);
}

function slots(recipe: Recipe): [string, string][] {
  const { requires, sampler, evaluate, derive, terms, trackers, update } = recipe;
  const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));
  return [
    ["needs", list(requires)],
    ["sampler", `a batch of ${sampler.batchSteps} steps`],
    ["evaluate", list(evaluate)],
    ["derive", list(derive.map(({ id, when }) => `${id} (${when})`))],
    [
      "terms",
      list(
        terms.map(
          ({ id, on, coefficient, aggregator }) =>
            `${typeof coefficient === "number" ? coefficient : `${coefficient.tracker}.${coefficient.name}`} · ` +
            `${id} on ${on} by ${aggregator.name}`,
        ),
      ),
    ],
    ["trackers", list(Object.keys(trackers))],
    [
      "update",
      (update.optimizer === undefined ? "" : "a step in a trust region, then for the critic ") +
        `${update.epochs} epochs of ${update.minibatches} minibatches of ${update.minibatchesOf}`,
    ],
  ];
}

/** Throws RECIPE_UNKNOWN with the nearest known id. */
export async function showRecipe(_host: CommandHost, id: string, { json }: Json): Promise<number> {
  const definition = findRecipe(id);
  const recipe = resolveRecipe({ id, params: {} });
  const parameters = parametersOf(definition);
  const shown = slots(recipe);
  if (json) {
    const params = Object.fromEntries(parameters.map(([name, parameter]) => [name, parameter.default]));
    say(JSON.stringify({ id, summary: definition.summary, slots: Object.fromEntries(shown), params }));
    return Promise.resolve(0);
  }
  say(`${id}: ${definition.summary}`);
  say("");
  for (const [slot, text] of shown) say(`${slot.padEnd(9)} ${text}`);
  say("");
  const width = Math.max(...parameters.map(([name]) => name.length));
  for (const [name, { default: value, description = "" }] of parameters) {
    say(`${name.padEnd(width)}  ${JSON.stringify(value)}  ${description}`);
  }
  return Promise.resolve(0);
}
