/** PPO on rows drawn again: `ppo` changed by the modifier `pf-ppo`, which has formula, defaults and traps. */
import { z } from "zod";
import { filtration, filtrationParams } from "./modifiers/pf-ppo.js";
import { ppo, ppoParams } from "./ppo.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...ppoParams.shape, ...filtrationParams.shape });

export const pfPpo: RecipeDefinition<z.output<typeof params>> = {
  id: "pf-ppo",
  summary: "PPO on rows that are drawn again by how far out their scores lie (Shen & Zhang 2024)",
  source: filtration.source,
  params,
  build: (p) => ({ ...filtration.apply(ppo.build(p), p), id: "pf-ppo" }),
};
