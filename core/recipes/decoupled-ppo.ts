/** PPO with a proximal policy: `ppo` changed by the modifier `decoupled-ppo`, which has formula, defaults and traps. */
import { z } from "zod";
import { decoupled, decoupledParams } from "./modifiers/decoupled-ppo.js";
import { ppo, ppoParams } from "./ppo.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...ppoParams.shape, ...decoupledParams.shape });

export const decoupledPpo: RecipeDefinition<z.output<typeof params>> = {
  id: "decoupled-ppo",
  summary: "PPO around a recent policy, with importance weights for the one that acted (Fu et al. 2025)",
  source: decoupled.source,
  params,
  build: (p) => ({ ...decoupled.apply(ppo.build(p), p), id: "decoupled-ppo" }),
};
