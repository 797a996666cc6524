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
import { numberBy } from "../algo/arrays.js";
import { budgetAdvantages, budgetProbabilities, spreadSplits } from "../algo/budget.js";
import { rowsByGroup } from "../algo/group-statistics.js";
import { centredByGroup } from "./parts/advantages.js";
import { rowColumn, type Batch } from "../slots/batch.js";
import { treesOf, type Tree } from "./parts/branches.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import { steps } from "./parts/params.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({
  ...groupParams,
  ...clipWindow(0.2, 0.2),
  budgets: z
    .array(steps)
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
    advantages.set(spreadSplits(ofSplits.subarray(i * splits, (i + 1) * splits), p.budgets, to - from), from);
  });
}

/** A of the probes, into `advantages`: one probe each is compared with the group's, several with one another. */
function writeProbes(batch: Batch, trees: readonly Tree[], p: BrpoParams, advantages: Float64Array): void {
  const scores = rowColumn(batch, "score");
  const probes = trees.flatMap(({ row: episode, group, forks }) =>
    forks.flatMap(({ at, prefix, rows }) =>
      rows.map((row) => ({
        row,
        reached: prefix + scores[row]!,
        peers: p.probes === 1 ? group : episode,
        at,
      })),
    ),
  );
  const reached = Float64Array.from(probes, (probe) => probe.reached);
  const peers = numberBy(probes.length, (k) => `${probes[k]!.at}/${probes[k]!.peers}`);
  const centred = centredByGroup("zero")(reached, peers);
  probes.forEach(({ row }, k) => advantages.fill(centred[k]!, batch.offsets[row], batch.offsets[row + 1]));
}

function budgetRelative(p: BrpoParams): Derive {
  return {
    ...{ id: "budgetAdvantages", when: "seal", needs: ["rewards"], writes: ["advantages"] },
    run(batch) {
      const advantages = new Float64Array(batch.inputs.steps);
      const trees = treesOf(batch);
      for (const ofGroup of rowsByGroup(Float64Array.from(trees, ({ group }) => group))) {
        const episodes = ofGroup.map((i) => trees[i]!);
        writeEpisodes(batch, episodes, p, advantages);
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
    const { budgets: at, probes: count, probeSteps: maxSteps } = p;
    return groupRecipe(p, {
      id: "brpo",
      requires: ["snapshots"],
      sampler: { branches: { at, states: at.length, count, maxSteps } },
      advantages: budgetRelative(p),
      ...clipped(p),
      aggregator: tokenMean(),
    });
  },
};
