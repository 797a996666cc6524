/**
 * Adaptive entropy policy optimisation (AEPO, of ARES, 2025): effort, counted in windows of high entropy, is priced by
 * how hard the task is, and held to a reference policy more or less, by difficulty and outside those windows.
 *
 *   N_i = windows of w steps whose mean entropy exceeds τ; τ = mean over rows of the 95 % quantile of theirs
 *   d = easy, medium, hard by the group's share of rows that succeed (2/3, 1/3); N̄_d = mean N of the batch's rows in d
 *   R_i = success − 1[fails]·λ_d·g_d(N_i − N̄_d) (form: paper), or success + bounded effort (released):
 *   see core/algo/effort.ts; A as in GRPO of R
 *   loss = token-mean of dualClip(ρ_t, A_i) + c·β_d·ρ_kl·k3(π ‖ π_ref), ρ_kl < 1 in high windows of rows that
 *   succeed
 *
 * Entropies are those under the weights that seal the batch. λ_d and β_d are trackers (effort-state.ts). Traps: the two
 * forms differ widely, and the released one gives rows that fail a bonus; the note on the paper leaves open what λ
 * compares N with and how large ρ_kl is: the running mean, and klRelief, are choices made here; the code counts windows
 * after reasoning words only. Extra rollouts that branch at high entropy are not here. Source confidence: paper form
 * from a note, released form exact.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { difficultiesOf, effortScores } from "../algo/effort.js";
import { highWindows } from "../algo/windows.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { effortTracker, klStats, readEffort, windowStats } from "./parts/effort-state.js";
import { maxFilteredBatches, outcomesDiffer } from "./parts/filters.js";
import { clipped, dualClipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import { share } from "./parts/params.js";
import type { Derive, RecipeDefinition, Term } from "../slots/recipe.js";
import { klCoefficient, withReference } from "./parts/reference.js";
import { referenceKlTerm, reporting } from "./parts/terms.js";

const positive = z.number().positive().max(1e6);
const params = z.strictObject({
  ...groupParams,
  ...dualClipWindow(0.2, 0.3, 3),
  stdEpsilon,
  form: z
    .enum(["paper", "released"])
    .default("paper")
    .describe("Of the score: the paper's, or the released code's"),
  successScore: z.number().default(1).describe("Score from which on a row succeeds"),
  filterCertain: z.boolean().default(true).describe("Leave out groups whose rows all succeed, or all fail"),
  maxFilteredBatches,
  windowSteps: z.int().min(1).max(1e6).default(4).describe("w: steps of a window"),
  windowQuantile: share.default(0.95).describe("Of a row's windows: where high entropy begins"),
  alpha: positive.default(0.5).describe("Released form: the most that effort adds or takes away"),
  lambdaMax: z.number().min(0).max(1e6).default(1).describe("Paper form: the most that λ may be"),
  klCoefficient: klCoefficient
    .default(0.01)
    .describe("Weight β of the KL to the reference policy; 0 = there is none"),
  klTarget: positive.default(0.01).describe("KL to the reference a step that β aims at, nats"),
  klRelief: share.default(0.5).describe("ρ_kl: factor on the KL in high windows of rows that succeed"),
});
type Params = z.output<typeof params>;

/** Row columns `score`, `difficulty`, `highWindows`; step columns `difficulty`, `klWeights`. */
function priceEffort(p: Params): Derive {
  return {
    ...{ id: "priceEffort", when: "seal", needs: ["entropies"], writes: ["difficulty", "klWeights"] },
    run(batch, { readings }) {
      const { mask, offsets } = batch;
      const { lambdas, betas } = readEffort(readings);
      const successes = rowColumn(batch, "score").map((score) => (score >= p.successScore ? 1 : 0));
      const difficulties = difficultiesOf(successes, rowColumn(batch, "group"));
      const windows = { width: p.windowSteps, level: p.windowQuantile };
      const { counts, inside } = highWindows(stepColumn(batch, "entropies"), mask, offsets, windows);
      const score = effortScores({ successes, counts, difficulties }, { ...p, lambdas });
      const [difficulty, succeeds] = [spreadRows(difficulties, offsets), spreadRows(successes, offsets)];
      const klWeights = difficulty.map((of, t) => {
        const relief = succeeds[t] === 1 && inside[t] === 1 ? p.klRelief : 1;
        return mask[t] === 0 ? 0 : betas[of]! * relief;
      });
      const row = { score, difficulty: difficulties, highWindows: counts };
      return { row, step: { difficulty, klWeights } };
    },
  };
}

function weighedKl(beta: number): Term {
  const term = referenceKlTerm(beta, tokenMean(), { weights: ["klWeights"] });
  return reporting({ ...term, needs: [...term.needs, "difficulty"] }, klStats);
}

export const ares: RecipeDefinition<Params> = {
  id: "ares",
  summary: "Effort priced by difficulty, in windows of high entropy (AEPO, ARES 2025)",
  source: { confidence: "note", checked: "a note on the paper; the released form against the authors' code" },
  params,
  build(p) {
    const recipe = groupRecipe(p, {
      id: "ares",
      sampler: p.filterCertain ? { filter: outcomesDiffer("certainSuccess", p) } : {},
      evaluate: ["entropy"],
      before: [priceEffort(p)],
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: tokenMean(),
      terms: p.klCoefficient > 0 ? [weighedKl(p.klCoefficient)] : [],
      trackers: effortTracker(p),
    });
    const [policy, ...others] = recipe.terms;
    const whole = { ...recipe, terms: [reporting(policy!, windowStats), ...others] };
    return p.klCoefficient > 0 ? withReference(whole) : whole;
  },
};
