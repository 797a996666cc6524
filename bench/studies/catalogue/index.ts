/** The studies. Each base is a run file; an arm changes one thing. */
import type { Study } from "../study.js";
import { groupStudies } from "./groups.js";
import { lagStudies } from "./lag.js";
import { recipeStudies } from "./recipes.js";
import { spoStudies } from "./spo.js";
import { truncationStudies } from "./truncation.js";

export const studies: readonly Study[] = [
  ...spoStudies,
  ...groupStudies,
  ...lagStudies,
  ...truncationStudies,
  ...recipeStudies,
];
