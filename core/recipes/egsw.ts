/**
 * Entropy-guided sequence weighting (EGSW, 2025, arXiv:2503.22456): rows of high advantage and high entropy count more.
 *
 *   w_i = G·softmax over the group of (A_i + α·H_i)/P
 *   loss = seq-mean-token-mean of w_i·ppoClip(ρ_t, A_i), A_i as in GRPO
 *
 * H_i is the row's mean entropy under the weights that seal the batch, P a temperature. The factor G keeps the scale of
 * GRPO: the weights of a group have mean 1. Trap: a row that does badly has a small weight, and is hardly unlearned.
 * Source confidence: from a rendering of the paper; α and P unverified. Its form with a weight for every step is not
 * here.
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { logSoftmax } from "../algo/categorical.js";
import { rowsByGroup } from "../algo/group-statistics.js";
import { rowMeans } from "../algo/statistics.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  alpha: z
    .number()
    .min(0)
    .max(1000)
    .default(0.3)
    .describe("α: weight of a row's entropy beside its advantage"),
  temperature: z.number().positive().max(1000).default(1).describe("P: the lower, the fewer rows count"),
});
type Params = z.output<typeof params>;

function rowWeights({ alpha, temperature }: Params): Derive {
  return {
    id: "rowWeights",
    when: "seal",
    needs: ["advantages", "entropies"],
    writes: ["rowWeights"],
    run(batch) {
      const { mask, offsets } = batch;
      const advantages = stepColumn(batch, "advantages");
      const entropies = rowMeans(stepColumn(batch, "entropies"), mask, offsets);
      const weights = new Float64Array(entropies.length);
      for (const rows of rowsByGroup(rowColumn(batch, "group"))) {
        const logits = Float64Array.from(
          rows,
          (i) => (advantages[offsets[i]!]! + alpha * entropies[i]!) / temperature,
        );
        logSoftmax(logits, 0, rows.length, logits, 0);
        rows.forEach((i, k) => (weights[i] = rows.length * Math.exp(logits[k]!)));
      }
      return { step: { rowWeights: spreadRows(weights, offsets) } };
    },
  };
}

export const egsw: RecipeDefinition<Params> = {
  id: "egsw",
  summary: "Rows of high advantage and entropy count more (EGSW, 2025)",
  source: { confidence: "note", checked: "a rendering of the paper; the defaults are unverified" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "egsw",
      evaluate: ["entropy"],
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [rowWeights(p)],
      ...clipped(p),
      aggregator: seqMeanTokenMean(),
      weights: ["rowWeights"],
    }),
};
