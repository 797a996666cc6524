/**
 * SPINE (Wu et al. 2025, arXiv:2511.17938): reinforcement learning without labels. A group votes on its answer, and only the steps at which the policy
 * was least certain, the forks, are trained; their entropy is kept in a band so that it neither collapses nor grows.
 *
 *   r_i = 1 where row i has its group's most frequent answer, else 0; A_i of r_i as in GRPO
 *   forks: the ⌈share·L_i⌉ steps of each row with the highest entropy
 *   loss = mean over forks of ppoClip(ρ_t, A_i) + c·((H_low − H_t)⁺ + (H_t − H_high)⁺) + β·k3(π ‖ π_reference)
 *
 * H_low, H_high: quantiles of the forks' entropies over the batch. The entropies that forks and quantiles are of are those of the
 * weights that seal the batch. A row's answer is its counter `answer`, or else its final observation; of answers that
 * are as frequent that of the lowest member wins. Trap: a group of different answers still has a majority. Source confidence: note (a
 * survey); c, β and the rounding are choices made here.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { majorityVotes } from "../algo/majority.js";
import { quantile, topOfRows } from "../algo/selection.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { answersOf } from "./parts/answers.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { expectBand, share } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { klCoefficient, withReferenceKl } from "./parts/reference.js";
import { bandTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  forkShare: share.default(0.2).describe("Share of each row's steps that are forks"),
  bandLow: share.default(0.1).describe("Quantile of the forks' entropies at which the band begins"),
  bandHigh: share.default(0.5).describe("Quantile of the forks' entropies at which the band ends"),
  bandCoefficient: z.number().min(0).default(0.01).describe("Weight c of the entropy band"),
  klCoefficient,
});
type Params = z.output<typeof params>;

/** Each row's score becomes 1 where its answer is its group's most frequent one, else 0. */
const majorityScores: Derive = {
  ...{ id: "majorityScores", when: "seal", needs: [], writes: [] },
  run(batch) {
    const [groups, members] = [rowColumn(batch, "group"), rowColumn(batch, "member")];
    return { row: { score: majorityVotes(answersOf(batch), groups, members) } };
  },
};

function forks({ forkShare, bandLow, bandHigh }: Params): Derive {
  return {
    ...{ id: "forks", when: "seal", needs: ["entropies"] },
    writes: ["forks", "entropyLow", "entropyHigh"],
    run(batch) {
      const { mask, offsets } = batch;
      const entropies = stepColumn(batch, "entropies");
      const steps = topOfRows(entropies, mask, offsets, forkShare);
      const ofForks = Float64Array.from(steps, (t) => entropies[t]!);
      const column = (value: number): Float64Array => new Float64Array(mask.length).fill(value);
      const selected = column(0);
      for (const t of steps) selected[t] = 1;
      const edge = (q: number): Float64Array => column(steps.length === 0 ? 0 : quantile(ofForks, q));
      return { step: { forks: selected, entropyLow: edge(bandLow), entropyHigh: edge(bandHigh) } };
    },
  };
}

export const spine: RecipeDefinition<Params> = {
  id: "spine",
  summary:
    "No labels: majority answers as scores, only the least certain steps trained (SPINE, Wu et al. 2025)",
  source: { confidence: "note", checked: "a survey; coefficients and rounding are choices made here" },
  params,
  build(p) {
    expectBand("spine", p);
    const select = "forks";
    const recipe = groupRecipe(p, {
      id: "spine",
      evaluate: ["entropy"],
      before: [majorityScores],
      advantages: standardizedByGroup(p.stdEpsilon),
      then: [forks(p)],
      ...clipped(p),
      aggregator: tokenMean(),
      select,
      terms: [bandTerm(p.bandCoefficient, { select })],
    });
    return withReferenceKl(recipe, p.klCoefficient, tokenMean(), { select });
  },
};
