/**
 * Budget relative policy optimisation (Qi et al. 2025, AnytimeReasoner, arXiv:2505.13438): what an episode has reached
 * by each of several budgets is probed by short continuations from there, and credit goes to the steps that led from
 * one budget to the next.
 *
 *   r_s = mean score of the probes at split s (rewards before it and the probe's own); at the last, the episode's
 *   A_s as in core/algo/budget.ts, for the steps between split s − 1 and split s
 *   P_s uniform, linear (∝ s + 1) or base (all on the last)
 *   probes: A = r − mean of the probes at the same split (one probe each: of the group's)
 *   loss = token-mean of ppoClip(ρ_t, A_t)
 *
 * Budgets are steps of the episode, and its end is the last split; where it ends before a budget its own score stands
 * for the probes'. Paper: four budgets, four probes of 128 tokens each. Traps: the probes' steps count towards
 * batchSteps, and against the episode's in the mean; scores are sums of rewards. One split (no budget reached) is Dr.
 * GRPO's advantage. Source confidence: derived from the authors' code, carried over from summaries of a thought to
 * continuations of an episode.
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { budgetAdvantages, budgetProbabilities } from "../algo/budget.js";
import { groupStatistics } from "../algo/group-statistics.js";
import { ppoClip } from "../algo/surrogates.js";
import { rowColumn, type Batch } from "../slots/batch.js";
import { treesOf, type Tree } from "./parts/branches.js";
import { clipWindow, groupParams, groupRecipe, windowOf } from "./parts/group-recipe.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  budgets: z
    .array(z.int().min(1).max(1e8))
    .min(1)
    .max(64)
    .default([5, 10, 20])
    .describe("Steps of the episode at which probes begin, rising"),
  probes: z.int().min(1).max(256).default(4).describe("Probes at each budget"),
  probeSteps: z.int().min(0).max(1e8).default(0).describe("Steps of a probe; 0 = until the episode ends"),
  budgetPrior: z
    .enum(["uniform", "linear", "base"])
    .default("uniform")
    .describe("What the budgets count: all alike, rising with the budget, or only the whole episode"),
});
type BrpoParams = z.output<typeof params>;

/** r_s of one episode, [S]. */
function scoresOf({ row, forks }: Tree, scores: Float64Array, budgets: readonly number[]): number[] {
  const ofProbes = budgets.map((budget) => {
    const fork = forks.find(({ at }) => at === budget);
    if (fork === undefined) return scores[row]!;
    return fork.prefix + fork.rows.reduce((sum, probe) => sum + scores[probe]!, 0) / fork.rows.length;
  });
  return [...ofProbes, scores[row]!];
}

/** A of each step of the episodes in `trees`, one group, into `advantages`. */
function writeEpisodes(batch: Batch, trees: readonly Tree[], p: BrpoParams, advantages: Float64Array): void {
  const scores = rowColumn(batch, "score");
  const splits = p.budgets.length + 1;
  const ofSplits = budgetAdvantages(
    Float64Array.from(trees.flatMap((tree) => scoresOf(tree, scores, p.budgets))),
    budgetProbabilities(p.budgetPrior, splits),
  );
  trees.forEach(({ row }, i) => {
    const [from, to] = [batch.offsets[row]!, batch.offsets[row + 1]!];
    for (let s = 0, at = from; s < splits; s++) {
      const end = Math.min(to, from + (p.budgets[s] ?? Infinity));
      advantages.fill(ofSplits[i * splits + s]!, at, end);
      at = end;
    }
  });
}

/** A of the probes, into `advantages`. */
function writeProbes(
  batch: Batch,
  trees: readonly Tree[],
  { probes }: BrpoParams,
  advantages: Float64Array,
): void {
  const scores = rowColumn(batch, "score");
  const keys = new Map<string, number>();
  const all = trees.flatMap(({ row, group, forks }) =>
    forks.flatMap(({ at, prefix, rows }) => {
      const key = `${at}/${probes === 1 ? `group ${group}` : `episode ${row}`}`;
      const number = keys.get(key) ?? keys.size;
      keys.set(key, number);
      return rows.map((probe) => ({ probe, score: prefix + scores[probe]!, number }));
    }),
  );
  const values = Float64Array.from(all, ({ score }) => score);
  const { means } = groupStatistics(
    values,
    Float64Array.from(all, ({ number }) => number),
    "zero",
  );
  all.forEach(({ probe, score }, k) =>
    advantages.fill(score - means[k]!, batch.offsets[probe], batch.offsets[probe + 1]),
  );
}

function budgetRelative(p: BrpoParams): Derive {
  return {
    ...{ id: "budgetAdvantages", when: "seal", needs: ["rewards"], writes: ["advantages"] },
    run(batch) {
      const advantages = new Float64Array(batch.inputs.steps);
      const trees = treesOf(batch);
      for (const group of new Set(trees.map((tree) => tree.group))) {
        writeEpisodes(
          batch,
          trees.filter((tree) => tree.group === group),
          p,
          advantages,
        );
      }
      writeProbes(batch, trees, p, advantages);
      return { step: { advantages } };
    },
  };
}

export const brpo: RecipeDefinition<BrpoParams> = {
  id: "brpo",
  summary: "Budget relative policy optimisation: credit for what is reached by each budget (Qi et al. 2025)",
  source: { confidence: "derived", checked: "the authors' code, carried over to environments" },
  params,
  build(p) {
    const recipe = groupRecipe(p, {
      ...{ id: "brpo", advantages: budgetRelative(p) },
      ...{ surrogate: ppoClip(windowOf(p)), aggregator: tokenMean(), window: windowOf(p) },
    });
    const { budgets: at, probes: count, probeSteps: maxSteps } = p;
    return {
      ...recipe,
      requires: ["groups", "snapshots"],
      sampler: { ...recipe.sampler, branches: { at, states: at.length, count, maxSteps } },
    };
  },
};
