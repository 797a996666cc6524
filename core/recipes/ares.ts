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
import { tokenMean, type Aggregator } from "../algo/aggregate.js";
import { spreadRows } from "../algo/arrays.js";
import { boundedEffort, difficultyOf, priceOfEffort } from "../algo/effort.js";
import { rowsByGroup } from "../algo/group-statistics.js";
import { chosenSteps, quantile } from "../algo/selection.js";
import { windowMeans } from "../algo/windows.js";
import { standardizedByGroup } from "./parts/advantages.js";
import { rowColumn, stepColumn, type Batch } from "../slots/batch.js";
import { effortTracker, klStats, readEffort, windowStats } from "./parts/effort-state.js";
import { maxFilteredBatches } from "./parts/filters.js";
import { clipped, dualClipWindow, groupParams, groupRecipe, stdEpsilon } from "./parts/group-recipe.js";
import type { Derive, GroupFilter, RecipeDefinition, Term } from "../slots/recipe.js";
import { klCoefficient, withReference } from "./parts/reference.js";
import { referenceKlTerm } from "./parts/terms.js";

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
  windowQuantile: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe("Of a row's windows: where high entropy begins"),
  alpha: positive.default(0.5).describe("Released form: the most that effort adds or takes away"),
  lambdaMax: z.number().min(0).max(1e6).default(1).describe("Paper form: the most that λ may be"),
  klCoefficient: klCoefficient
    .default(0.01)
    .describe("Weight β of the KL to the reference policy; 0 = there is none"),
  klTarget: positive.default(0.01).describe("KL to the reference a step that β aims at, nats"),
  klRelief: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("ρ_kl: factor on the KL in high windows of rows that succeed"),
});
type Params = z.output<typeof params>;

/** [R] windows of each row; τ. */
function entropyWindows(batch: Batch, { windowSteps, windowQuantile }: Params) {
  const entropies = stepColumn(batch, "entropies");
  const rows = Array.from({ length: batch.offsets.length - 1 }, (_, i) => {
    const steps = chosenSteps(batch.mask, batch.offsets[i], batch.offsets[i + 1]);
    return { steps, means: windowMeans(entropies, steps, windowSteps) };
  });
  const edges = rows
    .filter(({ means }) => means.length > 0)
    .map(({ means }) => quantile(means, windowQuantile));
  return { rows, threshold: edges.reduce((sum, edge) => sum + edge, 0) / edges.length };
}

/** Row columns `score`, `difficulty`, `highWindows`; step columns `difficulty`, `klWeights`. */
function priceEffort(p: Params): Derive {
  return {
    ...{ id: "priceEffort", when: "seal", needs: ["entropies"], writes: ["difficulty", "klWeights"] },
    run(batch, { readings }) {
      const successes = rowColumn(batch, "score").map((score) => (score >= p.successScore ? 1 : 0));
      const windows = entropyWindows(batch, p);
      const counts = Float64Array.from(
        windows.rows,
        ({ means }) => means.filter((mean) => mean > windows.threshold).length,
      );
      const difficulties = new Float64Array(counts.length);
      for (const rows of rowsByGroup(rowColumn(batch, "group"))) {
        const rate = rows.reduce((sum, i) => sum + successes[i]!, 0) / rows.length;
        for (const i of rows) difficulties[i] = difficultyOf(rate);
      }
      const targets = ([0, 1, 2] as const).map((d) => {
        const of = counts.filter((_, i) => difficulties[i] === d);
        const mean = of.reduce((sum, n) => sum + n, 0) / of.length;
        return p.form === "released" ? Math.round(mean) : mean;
      });
      const klWeights = new Float64Array(batch.mask.length);
      const score = counts.map((count, i) => {
        const difficulty = difficulties[i] as 0 | 1 | 2;
        const { lambda, beta } = readEffort(readings, difficulty);
        const effort = { success: successes[i] === 1, count, target: targets[difficulty]! };
        const { steps, means } = windows.rows[i]!;
        for (const t of steps) klWeights[t] = beta;
        means.forEach((mean, first) => {
          if (!effort.success || mean <= windows.threshold) return;
          for (const t of steps.subarray(first, first + p.windowSteps)) klWeights[t] = beta * p.klRelief;
        });
        const added =
          p.form === "paper"
            ? priceOfEffort(effort, difficulty, lambda)
            : boundedEffort(effort, difficulty, p.alpha);
        return successes[i]! + added;
      });
      return {
        row: { score, difficulty: difficulties, highWindows: counts },
        step: { difficulty: spreadRows(difficulties, batch.offsets), klWeights },
      };
    },
  };
}

/** The term, which reports more. */
function reporting(term: Term, more: (batch: Batch, loss: Float64Array) => Record<string, number>): Term {
  return {
    ...term,
    evaluate: (live, batch, out) => ({ ...term.evaluate(live, batch, out), ...more(batch, out.loss) }),
  };
}

function someSucceed({ successScore, maxFilteredBatches: maxBatches }: Params): GroupFilter {
  return {
    reason: "certainSuccess",
    keep: (scores) => {
      const successes = scores.filter((score) => score >= successScore).length;
      return successes > 0 && successes < scores.length;
    },
    maxBatches,
  };
}

function weighedKl(beta: number, aggregator: Aggregator): Term {
  const term = referenceKlTerm(beta, aggregator, { weights: ["klWeights"] });
  return reporting({ ...term, needs: [...term.needs, "difficulty"] }, (batch, kl) => klStats(kl, batch));
}

export const ares: RecipeDefinition<Params> = {
  id: "ares",
  summary: "Effort priced by difficulty, in windows of high entropy (AEPO, ARES 2025)",
  source: { confidence: "note", checked: "a note on the paper; the released form against the authors' code" },
  params,
  build(p) {
    const recipe = groupRecipe(p, {
      id: "ares",
      before: [priceEffort(p)],
      advantages: standardizedByGroup(p.stdEpsilon),
      ...clipped(p),
      aggregator: tokenMean(),
    });
    const [policy, ...others] = recipe.terms;
    const withKl = p.klCoefficient > 0;
    const whole = {
      ...recipe,
      sampler: { ...recipe.sampler, ...(p.filterCertain ? { filter: someSucceed(p) } : {}) },
      evaluate: ["entropy"] as const,
      terms: [
        reporting(policy!, windowStats),
        ...others,
        ...(withKl ? [weighedKl(p.klCoefficient, tokenMean())] : []),
      ],
      trackers: effortTracker(p),
    };
    return withKl ? withReference(whole) : whole;
  },
};
