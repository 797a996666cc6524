/** `skein recipes`: the methods and modifiers that a run file can name, and `skein recipes show <id>`: one of them resolved. */
import { z } from "zod";
import { SkeinError } from "../../core/errors.js";
import { suggestion } from "../../core/config/validate.js";
import { modifierDefinitions, recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { ModifierDefinition, Recipe, RecipeDefinition } from "../../core/slots/recipe.js";
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
  const recipes = recipeDefinitions.map(({ id, summary }) => {
    const { requires } = resolveRecipe({ id, params: {} });
    return { id, summary, requires };
  });
  const modifiers = modifierDefinitions.map(({ id, summary }) => ({ id, summary }));
  if (json) {
    say(JSON.stringify({ recipes, modifiers }));
    return Promise.resolve(0);
  }
  const width = Math.max(...[...recipes, ...modifiers].map(({ id }) => id.length));
  for (const { id, summary, requires } of recipes) {
    say(`${id.padEnd(width)}  ${summary}${requires.length === 0 ? "" : ` [needs ${requires.join(", ")}]`}`);
  }
  say("");
  say("Modifiers, for recipe.modifiers:");
  for (const { id, summary } of modifiers) say(`${id.padEnd(width)}  ${summary}`);
  return Promise.resolve(0);
}

function parametersOf(params: z.ZodType): [string, Parameter][] {
  const { properties = {} } = z.toJSONSchema(params, { io: "input" });
  return Object.entries(properties as Record<string, Parameter>);
}

function defaultsOf(params: z.ZodType): Record<string, unknown> {
  return Object.fromEntries(parametersOf(params).map(([name, parameter]) => [name, parameter.default]));
}

function samplerText({ sampler, replay }: Recipe): string {
  const { batchSteps, filter, bundleGroups = 1 } = sampler;
  return [
    `a batch of ${batchSteps} steps`,
    ...(bundleGroups === 1 ? [] : [`in bundles of ${bundleGroups} groups`]),
    ...(filter === undefined ? [] : [`without groups of ${filter.reason}`]),
    ...(replay === undefined
      ? []
      : [`and ${replay.share.toFixed(2)} times as many of the last ${replay.batches}`]),
  ].join(", ");
}

function slots(recipe: Recipe): [string, string][] {
  const { requires, evaluate, evaluateReference = [], derive, terms, trackers, update } = recipe;
  const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));
  return [
    ["needs", list(requires)],
    ["sampler", samplerText(recipe)],
    ["evaluate", list([...evaluate, ...evaluateReference.map((column) => `${column} of the reference`)])],
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

function sayParameters(params: z.ZodType): void {
  const parameters = parametersOf(params);
  const width = Math.max(...parameters.map(([name]) => name.length));
  for (const [name, { default: value, description = "" }] of parameters) {
    say(`${name.padEnd(width)}  ${JSON.stringify(value)}  ${description}`);
  }
}

function sayRecipe({ id, summary, params }: RecipeDefinition): void {
  say(`${id}: ${summary}`);
  say("");
  for (const [slot, text] of slots(resolveRecipe({ id, params: {} }))) say(`${slot.padEnd(9)} ${text}`);
  say("");
  sayParameters(params);
}

function sayModifier({ id, summary, params }: ModifierDefinition): void {
  say(`modifier ${id}: ${summary}`);
  say("");
  sayParameters(params);
}

/** Throws RECIPE_UNKNOWN with the nearest known id. Where a recipe and a modifier have the same id both are shown. */
export async function showRecipe(_host: CommandHost, id: string, { json }: Json): Promise<number> {
  const recipe = recipeDefinitions.find((definition) => definition.id === id);
  const modifier = modifierDefinitions.find((definition) => definition.id === id);
  if (recipe === undefined && modifier === undefined) {
    const known = [...recipeDefinitions, ...modifierDefinitions].map((definition) => definition.id);
    const text = `no recipe or modifier "${id}".${suggestion(id, [...new Set(known)])}`;
    throw new SkeinError("RECIPE_UNKNOWN", text);
  }
  if (json) {
    const shown = {
      ...(recipe && {
        recipe: {
          ...{ id, summary: recipe.summary, params: defaultsOf(recipe.params) },
          slots: Object.fromEntries(slots(resolveRecipe({ id, params: {} }))),
        },
      }),
      ...(modifier && { modifier: { id, summary: modifier.summary, params: defaultsOf(modifier.params) } }),
    };
    say(JSON.stringify(shown));
    return Promise.resolve(0);
  }
  if (recipe !== undefined) sayRecipe(recipe);
  if (recipe !== undefined && modifier !== undefined) say("");
  if (modifier !== undefined) sayModifier(modifier);
  return Promise.resolve(0);
}
