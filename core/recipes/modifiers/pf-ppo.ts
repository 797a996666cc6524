/**
 * Policy filtration (Shen & Zhang 2024, PF-PPO, arXiv:2409.06957): a reward model is least reliable in the middle of its
 * range, so rows are drawn again, with replacement, by how far out their score lies.
 *
 *   rows ~ Multinomial(R, p), p of each group's or the batch's scores: best (1, 0, …), best-random (½, ½/(n−1), …),
 *   best-worst (½, 0, …, ½), pow ∝ |score|^power, max-min ∝ 1 for both ends, max-random ∝ 0.4 for the largest, 0.1 else
 *
 * Drawn last, after advantages: those are of the rows that came in. As many rows as came in, from each group as many
 * as it had. Traps: a fragment's score is that of the fragment, not of its episodes; choose the filter whose drawn
 * scores agree best with the true ones. Source confidence: exact (the paper's text; verl for pow, max-min, max-random,
 * over the batch).
 */
import { z } from "zod";
import { drawFrom, resamplingProbabilities } from "../../algo/resampling.js";
import { rowCount } from "../../types.js";
import { rowsByGroup } from "../../algo/group-statistics.js";
import { rowColumn } from "../../slots/batch.js";
import type { Derive, ModifierDefinition } from "../../slots/recipe.js";

export const filtrationParams = z.strictObject({
  resampling: z
    .enum(["best", "best-random", "best-worst", "pow", "max-min", "max-random"])
    .default("best-random")
    .describe("Which rows are drawn more often, by their scores"),
  resamplingPower: z
    .number()
    .positive()
    .max(100)
    .default(2)
    .describe("Exponent of the size of a score, for pow"),
  resampleWithin: z
    .enum(["group", "batch"])
    .default("group")
    .describe("Rows whose scores are compared, and in place of which others are drawn"),
});
export type FiltrationParams = z.output<typeof filtrationParams>;

function resample({ resampling, resamplingPower, resampleWithin }: FiltrationParams): Derive {
  return {
    ...{ id: "resample", when: "seal", needs: [], writes: [] },
    run(batch, { random }) {
      const scores = rowColumn(batch, "score");
      const all = Array.from({ length: rowCount(batch) }, (_, row) => row);
      const pools = resampleWithin === "group" ? rowsByGroup(rowColumn(batch, "group")) : [all];
      const drawn = pools.flatMap((rows) => {
        const ofPool = Float64Array.from(rows, (row) => scores[row]!);
        const probabilities = resamplingProbabilities(ofPool, resampling, resamplingPower);
        return rows.map(() => rows[drawFrom(probabilities, random.uniform())]!);
      });
      return { rows: Uint32Array.from(drawn) };
    },
  };
}

export const filtration: ModifierDefinition<FiltrationParams> = {
  id: "pf-ppo",
  summary: "Rows are drawn again by how far out their scores lie (Shen & Zhang 2024)",
  source: { confidence: "exact", checked: "the paper's text, verl" },
  params: filtrationParams,
  apply: (recipe, p) => ({
    ...recipe,
    requires:
      p.resampleWithin === "group" ? [...new Set([...recipe.requires, "groups" as const])] : recipe.requires,
    derive: [...recipe.derive, resample(p)],
  }),
};
