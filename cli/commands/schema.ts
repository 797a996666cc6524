/** `skein schema`: the run file's JSON Schema, with each recipe's parameters under $defs. */
import { z } from "zod";
import { runConfigJsonSchema } from "../../core/config/schema.js";
import { recipeDefinitions } from "../../core/recipes/index.js";

export async function schema(): Promise<number> {
  const $defs = Object.fromEntries(
    recipeDefinitions.map(({ id, summary, params }) => [
      `recipe.params of ${id}`,
      { description: summary, ...z.toJSONSchema(params, { io: "input" }) },
    ]),
  );
  process.stdout.write(`${JSON.stringify({ ...runConfigJsonSchema(), $defs }, null, 2)}\n`);
  return Promise.resolve(0);
}
