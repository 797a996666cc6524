/**
 * Dynamic sampling (DAPO, Yu et al. 2025, arXiv:2503.14476): groups in which all scores are equal have no advantage; a
 * batch is filled with others instead.
 *
 *   keep ⇔ std of the group's scores > 0
 *
 * What is kept out appears as filtered in the books. Trap: where hardly any group differs a batch would never be full;
 * after maxFilteredBatches batches' worth of steps groups enter as they are, with a notice. Source confidence: exact
 * (verl).
 */
import { z } from "zod";
import { maxFilteredBatches, scoresDiffer } from "../parts/filters.js";
import type { ModifierDefinition } from "../../slots/recipe.js";
import { refusal } from "./refusal.js";

const params = z.strictObject({ maxFilteredBatches });

export const dynamicSampling: ModifierDefinition<z.output<typeof params>> = {
  id: "dynamic-sampling",
  summary: "Only groups whose scores differ enter a batch (DAPO, Yu et al. 2025)",
  source: { confidence: "exact", checked: "verl" },
  params,
  apply(recipe, p) {
    const { filter } = recipe.sampler;
    if (filter !== undefined) {
      throw refusal("dynamic-sampling", recipe, `filters groups already (${filter.reason})`);
    }
    return {
      ...recipe,
      requires: [...new Set([...recipe.requires, "groups" as const])],
      sampler: { ...recipe.sampler, filter: scoresDiffer(p.maxFilteredBatches) },
    };
  },
};
