/**
 * Consistency-aware policy optimisation (COPO, 2025): beside GRPO's advantage within a group one between
 * groups, which teaches something where all rows of a group do equally well; how much each counts follows from how
 * consistent the group's answers are.
 *
 *   loss = seq-mean-token-mean of w_i·ppoClip(ρ_t, A_i) + (1 − w_i)·ppoClip(ρ_t, A^g_q)
 *   A_i as in GRPO; A^g_q = (R_q − mean of R) / (std of R + ε) over groups
 *   R_q = mean score [·(1 − λ·H_q), λ = (1 − 1/G)/log2 G]
 *   w_i = σ(k·(H_q − b)), and 0 for rows of score 0 (soft-with-zero) or of A_i = 0 (soft-with-forced)
 *   H_q = −Σ_c p_c·log2 p_c over the group's answers: the row counter `answer`, else the final observation
 *
 * Two surrogates, not one of a mixed advantage: they differ where signs do. Traps: by default the released script
 * leaves λ out, and a row of score 0 then learns from the global term alone; a batch needs two groups or more. Source
 * confidence: exact (the authors' code).
 */
import { z } from "zod";
import { seqMeanTokenMean } from "../algo/aggregate.js";
import { answerEntropy } from "../algo/answer-entropy.js";
import { spreadRows } from "../algo/arrays.js";
import { groupStatistics, rowsByGroup } from "../algo/group-statistics.js";
import { ppoClip } from "../algo/surrogates.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { answersOf } from "./parts/answers.js";
import { rowColumn, stepColumn, type Batch } from "../slots/batch.js";
import { clipWindow, groupParams, groupRecipe, stdEpsilon, windowOf } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { policyTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  weighting: z
    .enum(["soft-with-zero", "soft-with-forced", "soft", "only-local", "only-global"])
    .default("soft-with-zero")
    .describe("What w_i is: by answers; 0 for rows of score 0; 0 for rows without advantage; 1; 0"),
  steepness: z
    .number()
    .min(0)
    .max(1000)
    .default(5)
    .describe("k: how sharply w changes with the entropy of answers"),
  midpoint: z.number().default(1).describe("b: entropy of answers, bits, at which both terms count the same"),
  consistencyReward: z
    .boolean()
    .default(false)
    .describe("Groups of differing answers count as worse than their mean score"),
});
type Params = z.output<typeof params>;

/** H_q, bits, and R_q of one group. */
function consistency(answers: readonly number[], scores: readonly number[], rewarded: boolean) {
  const rows = answers.length;
  const entropy = answerEntropy(answers, new Float64Array(rows)) / Math.LN2;
  const lambda = rewarded && rows > 1 ? (1 - 1 / rows) / Math.log2(rows) : 0;
  const mean = scores.reduce((sum, score) => sum + score, 0) / rows;
  return { entropy, reward: mean * (1 - lambda * entropy) };
}

function localWeight(p: Params, entropy: number, score: number, advantage: number): number {
  const soft = 1 / (1 + Math.exp(-p.steepness * (entropy - p.midpoint)));
  switch (p.weighting) {
    case "soft":
      return soft;
    case "soft-with-zero":
      return score === 0 ? 0 : soft;
    case "soft-with-forced":
      return advantage === 0 ? 0 : soft;
    case "only-local":
      return 1;
    case "only-global":
      return 0;
  }
}

function globalAdvantages(p: Params): Derive {
  return {
    id: "globalAdvantages",
    when: "seal",
    needs: ["advantages"],
    writes: ["globalAdvantages", "localWeights", "globalWeights"],
    run(batch: Batch) {
      const scores = rowColumn(batch, "score");
      const answers = answersOf(batch);
      const advantages = stepColumn(batch, "advantages");
      const groups = rowsByGroup(rowColumn(batch, "group"));
      const found = groups.map((rows) =>
        consistency(
          rows.map((i) => answers[i]!),
          rows.map((i) => scores[i]!),
          p.consistencyReward,
        ),
      );
      const rewards = Float64Array.from(found, ({ reward }) => reward);
      const { means, stds } = groupStatistics(rewards, new Float64Array(groups.length), "zero");
      const global = new Float64Array(scores.length);
      const local = new Float64Array(scores.length);
      groups.forEach((rows, q) => {
        for (const i of rows) {
          global[i] = (rewards[q]! - means[q]!) / (stds[q]! + p.stdEpsilon);
          local[i] = localWeight(p, found[q]!.entropy, scores[i]!, advantages[batch.offsets[i]!]!);
        }
      });
      const spread = (rows: Float64Array): Float64Array => spreadRows(rows, batch.offsets);
      return {
        step: {
          globalAdvantages: spread(global),
          localWeights: spread(local),
          globalWeights: spread(local.map((w) => 1 - w)),
        },
      };
    },
  };
}

export const copo: RecipeDefinition<Params> = {
  id: "copo",
  summary: "Advantages within and between groups, by how consistent answers are (COPO, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p) {
    const surrogate = ppoClip(windowOf(p));
    const aggregator = seqMeanTokenMean();
    const recipe = groupRecipe(p, {
      id: "copo",
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [globalAdvantages(p)],
      ...{ surrogate, aggregator, window: windowOf(p), weights: ["localWeights"] },
    });
    const global = policyTerm({
      id: "globalPolicyLoss",
      advantages: "globalAdvantages",
      ...{ surrogate, aggregator, window: null, weights: ["globalWeights"] },
    });
    return { ...recipe, terms: [...recipe.terms, global] };
  },
};
