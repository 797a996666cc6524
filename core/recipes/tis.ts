/** GRPO with importance weights: `grpo` changed by the modifier `tis`, which has formula, defaults and traps. */
import { z } from "zod";
import { grpo, grpoParams } from "./grpo.js";
import { tis, tisParams } from "./modifiers/tis.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...grpoParams.shape, ...tisParams.shape });

export const tisGrpo: RecipeDefinition<z.output<typeof params>> = {
  id: "tis",
  summary: "GRPO with truncated importance weights for the policy that really acted (Yao et al. 2025)",
  source: tis.source,
  params,
  build: (p) => ({ ...tis.apply(grpo.build(p), p), id: "tis" }),
};
