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
import { answerEntropy, consistentReward } from "../algo/answer-entropy.js";
import { gather, spreadRows } from "../algo/arrays.js";
import { rowsByGroup, standardizeByGroup } from "../algo/group-statistics.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { answersOf } from "./parts/answers.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { weight } from "./parts/params.js";
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
  steepness: weight.default(5).describe("k: how sharply w changes with the entropy of answers"),
  midpoint: z.number().default(1).describe("b: entropy of answers, bits, at which both terms count the same"),
  consistencyReward: z
    .boolean()
    .default(false)
    .describe("Groups of differing answers count as worse than their mean score"),
});
type Params = z.output<typeof params>;

/** w_i of a row whose group's answers have this entropy, bits. */
function localWeight(p: Params, entropy: number, score: number, advantage: number): number {
  const soft = 1 / (1 + Math.exp(-p.steepness * (entropy - p.midpoint)));
  const weights: Readonly<Record<Params["weighting"], number>> = {
    "soft-with-zero": score === 0 ? 0 : soft,
    "soft-with-forced": advantage === 0 ? 0 : soft,
    soft,
    "only-local": 1,
    "only-global": 0,
  };
  return weights[p.weighting];
}

function globalAdvantages(p: Params): Derive {
  return {
    ...{ id: "globalAdvantages", when: "seal", needs: ["advantages"] },
    writes: ["globalAdvantages", "localWeights", "globalWeights"],
    run(batch) {
      const [scores, answers] = [rowColumn(batch, "score"), answersOf(batch)];
      const advantages = stepColumn(batch, "advantages");
      const groups = rowsByGroup(rowColumn(batch, "group"));
      const entropies = groups.map((rows) => answerEntropy(gather(answers, rows)) / Math.LN2);
      const rewards = Float64Array.from(groups, (rows, q) =>
        consistentReward(gather(scores, rows), p.consistencyReward ? entropies[q]! : 0),
      );
      const options = { singleton: "zero", eps: p.stdEpsilon } as const;
      const ofGroups = standardizeByGroup(rewards, new Float64Array(groups.length), options);
      const [global, local] = [new Float64Array(scores.length), new Float64Array(scores.length)];
      groups.forEach((rows, q) => {
        for (const i of rows) {
          global[i] = ofGroups[q]!;
          local[i] = localWeight(p, entropies[q]!, scores[i]!, advantages[batch.offsets[i]!]!);
        }
      });
      const localWeights = spreadRows(local, batch.offsets);
      const globalWeights = localWeights.map((w) => 1 - w);
      return { step: { globalAdvantages: spreadRows(global, batch.offsets), localWeights, globalWeights } };
    },
  };
}

export const copo: RecipeDefinition<Params> = {
  id: "copo",
  summary: "Advantages within and between groups, by how consistent answers are (COPO, 2025)",
  source: { confidence: "exact", checked: "the authors' code" },
  params,
  build(p) {
    const aggregator = seqMeanTokenMean();
    const { surrogate, window } = clipped(p);
    return groupRecipe(p, {
      id: "copo",
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [globalAdvantages(p)],
      ...{ surrogate, aggregator, window, weights: ["localWeights"] },
      terms: [
        policyTerm({
          id: "globalPolicyLoss",
          advantages: "globalAdvantages",
          ...{ surrogate, aggregator, window: null, weights: ["globalWeights"] },
        }),
      ],
    });
  },
};
