/**
 * Semantic-entropy enhanced GRPO (SEED-GRPO, 2025, arXiv:2505.12346): the more the answers of a group differ, the less
 * the policy knows of the task, and the smaller the step it takes there.
 *
 *   A_i = (r_i − mean_g)·f(SE_g); loss as in dr-grpo; SE = −Σ_c p_c·log p_c over the group's answers
 *   p_c = Σ_{i in c} exp(mean_t ℓ^o_{i,t}), normalised, or the share of rows; f = 1/(1 + α·SE/log G), or 1 − α·SE/log G
 *
 * The answer of a row is its counter `answer`, NaN = none, which is like no other; without that counter it is the final
 * observation. Traps: log G bounds SE, so α > 1 may turn the linear f negative; a review of the paper gives −(1/K)·Σ
 * log p_c in place of SE. The exponential and focal weights are not here.
 * Source confidence: from a review and others' code.
 */
import { z } from "zod";
import { seqMeanTokenSumNorm } from "../algo/aggregate.js";
import { answerEntropy } from "../algo/answer-entropy.js";
import { gather } from "../algo/arrays.js";
import { rowsByGroup } from "../algo/group-statistics.js";
import { rowMeans } from "../algo/statistics.js";
import { centredByGroup, rowAdvantages } from "./parts/advantages.js";
import { answersOf } from "./parts/answers.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import { steps, weight } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  maxLength: steps.default(500).describe("L_max: steps that a row may have"),
  alpha: weight.default(0.0417).describe("α: how much differing answers shrink advantages"),
  scaling: z
    .enum(["reciprocal", "linear"])
    .default("reciprocal")
    .describe("f of the share u of the greatest entropy: 1/(1 + α·u), or 1 − α·u"),
  answerWeights: z
    .enum(["likelihood", "count"])
    .default("likelihood")
    .describe("What an answer's probability is: of its rows' mean log-probabilities, or its share of rows"),
});
type Params = z.output<typeof params>;

function scaledByAnswers({ alpha, scaling, answerWeights }: Params): Derive {
  return rowAdvantages("scaledByAnswers", ["oldLogprobs"], (batch) => {
    const groups = rowColumn(batch, "group");
    const advantages = centredByGroup("raw")(rowColumn(batch, "score"), groups);
    const answers = answersOf(batch);
    const likelihoods = rowMeans(stepColumn(batch, "oldLogprobs"), batch.mask, batch.offsets);
    for (const rows of rowsByGroup(groups)) {
      const entropy = answerEntropy(
        gather(answers, rows),
        rows.map((i) => (answerWeights === "likelihood" ? likelihoods[i]! : 0)),
      );
      const share = rows.length === 1 ? 0 : entropy / Math.log(rows.length);
      const factor = scaling === "linear" ? 1 - alpha * share : 1 / (1 + alpha * share);
      for (const i of rows) advantages[i]! *= factor;
    }
    return advantages;
  });
}

export const seedGrpo: RecipeDefinition<Params> = {
  id: "seed-grpo",
  summary: "Smaller steps where a group's answers differ (SEED-GRPO, 2025)",
  source: { confidence: "note", checked: "a review of the paper and others' code" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "seed-grpo",
      advantages: scaledByAnswers(p),
      ...clipped(p),
      aggregator: seqMeanTokenSumNorm(p.maxLength),
    }),
};
