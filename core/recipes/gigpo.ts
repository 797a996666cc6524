/**
 * Group-in-group policy optimisation (Feng et al. 2025, arXiv:2505.10978): the advantage of a row among its group, and that
 * of each of its steps among all steps of the group that were taken in the same state.
 *
 *   A_t = A^E + ω·A^S_t; A^E = (s − μ_g)[/(σ_g + ε)], A^S_t = (R_t − μ_a)[/(σ_a + ε)], R_t = Σ_k γ^k r_{t+k}
 *
 * s = sum of the row's rewards; μ, σ (Bessel-corrected) over the group, and over the steps of an anchor group. A step whose
 * action was invalid (step extra `actionValid` = 0) has `invalidPenalty` taken from its own s and R_t, undiscounted.
 *
 * Traps: the paper takes one score a trajectory, the released code one a step, so that long rows weigh more
 * (`episodeStatistics`). A state seen once has A^S = 0, a group of one A^E = s. Equal returns give exactly 0, which rounding
 * over ε would not. Rows of a group may be of several versions: A compares what was earned, and the ratio corrects each
 * step by the policy that took it. `dynamic` keeps groups of equal scores out of batches. Source confidence: exact (the
 * authors' code; the paper's equations 3 to 8).
 */
import { z } from "zod";
import { MEANS } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { relativeToGroup } from "../algo/group-statistics.js";
import { returnsWithinRows } from "../algo/returns.js";
import { onlyFirstChosen } from "../algo/selection.js";
import { stepGroups } from "./parts/anchors.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { criticParams, weight } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { maxFilteredBatches, scoresDiffer } from "./parts/filters.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  stdEpsilon,
  gamma: criticParams.gamma.default(0.95).describe("Discount per step, γ, of the returns of steps"),
  stepWeight: z.number().min(0).max(100).default(1).describe("ω: weight of the advantages of steps"),
  normalization: z
    .enum(["mean", "meanStd"])
    .default("mean")
    .describe("mean = centre; meanStd = centre and divide by the standard deviation"),
  episodeStatistics: z
    .enum(["trajectories", "steps"])
    .default("trajectories")
    .describe(
      "Over what the mean score of a group is taken: the paper's trajectories, or the released code's steps",
    ),
  similarity: z
    .number()
    .gt(0)
    .lt(1)
    .nullable()
    .default(null)
    .describe("Names of states that are at least so similar count as one state; null = equal states only"),
  invalidPenalty: weight
    .default(0.1)
    .describe("Taken from score and return of a step whose action was invalid, in units of reward"),
  aggregation: z
    .enum(["token-mean", "seq-mean-token-mean"])
    .default("token-mean")
    .describe("Every step counts the same, or every row"),
  maxFilteredBatches,
  dynamic: z.boolean().default(false).describe("Keep groups of equal scores out of batches"),
});
type GigpoParams = z.output<typeof params>;

function gigpoAdvantages(p: GigpoParams): Derive {
  const eps = p.normalization === "mean" ? null : p.stdEpsilon;
  return {
    ...{ id: "gigpoAdvantages", when: "seal", needs: ["rewards"], writes: ["advantages"] },
    run(batch) {
      const { mask, offsets } = batch;
      const valid = batch.step["actionValid"];
      const penalised = (x: Float64Array): Float64Array =>
        valid === undefined ? x : x.map((value, t) => value - p.invalidPenalty * (1 - valid[t]!));
      const scores = penalised(spreadRows(rowColumn(batch, "score"), offsets));
      const rewards = stepColumn(batch, "rewards");
      const returns = penalised(returnsWithinRows({ rewards, mask, offsets }, p.gamma));
      const counted = p.episodeStatistics === "steps" ? mask : onlyFirstChosen(mask, offsets);
      const groups = spreadRows(rowColumn(batch, "group"), offsets);
      const ofEpisodes = relativeToGroup(scores, groups, { singleton: "raw", eps, counted });
      const anchors = stepGroups(batch, p.similarity);
      const ofSteps = relativeToGroup(returns, anchors, { singleton: "zero", eps, counted: mask });
      return { step: { advantages: ofEpisodes.map((a, t) => a + p.stepWeight * ofSteps[t]!) } };
    },
  };
}

export const gigpo: RecipeDefinition<GigpoParams> = {
  id: "gigpo",
  summary:
    "Group-in-group: rows among their group, steps among those taken in the same state (Feng et al. 2025)",
  source: { confidence: "exact", checked: "the authors' code; the paper's equations 3 to 8" },
  params,
  build: (p) =>
    groupRecipe(p, {
      id: "gigpo",
      requires: [p.similarity === null ? "anchors" : "anchorNames"],
      sampler: p.dynamic ? { filter: scoresDiffer(p.maxFilteredBatches) } : {},
      advantages: gigpoAdvantages(p),
      ...clipped(p),
      aggregator: MEANS[p.aggregation](),
    }),
};
