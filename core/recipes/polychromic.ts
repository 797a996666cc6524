/**
 * Polychromic PPO (Hamid et al. 2025, arXiv:2509.25424): from states of an episode many continuations are played, and
 * sets of them are scored for their return and for how different they end, so that a policy keeps more than one way.
 *
 *   f(g) = mean_{i∈g} R_i · #distinct ends in g / n;  A = f(g) − mean over the sets of f, for the first `window` steps of
 *   each continuation in g; GAE for all other steps
 *   loss = mean ppoClip(ρ, Â) + c_v·value loss − c_e·H + β·KL(π_sealed ‖ π), exact
 *
 * R = (score − minScore)/(maxScore − minScore) of the continuation. Sets: the continuations shuffled and cut into runs
 * of n, `partitions` times; one in several sets has the mean of their advantages. Ends are the same where their final
 * observations are, or the counter `answer`. Paper: 8 continuations, n = 4, 2 states. Traps: R must lie in [0, 1]; a
 * set of one is never diverse; the set's advantage is not on the scale of GAE's (normalizeAdvantages mixes the two).
 * Source confidence: note (summaries; window and averaging after reproductions).
 */
import { z } from "zod";
import { gather } from "../algo/arrays.js";
import { polychromicAdvantages } from "../algo/polychromic.js";
import type { Random } from "../random.js";
import { answersOf } from "./parts/answers.js";
import { rowColumn, stepColumn } from "../slots/batch.js";
import { treesOf } from "./parts/branches.js";
import { expectParams, steps, weight } from "./parts/params.js";
import { ppo, ppoParams } from "./ppo.js";
import type { Derive, RecipeDefinition } from "../slots/recipe.js";
import { policyKlTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...ppoParams.shape,
  vineStates: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe("States of each episode from which continuations begin"),
  vineRollouts: z.int().min(2).max(256).default(8).describe("Continuations from each, N"),
  vineSteps: z.int().min(0).max(1e8).default(0).describe("Steps of one; 0 = until the episode ends"),
  setSize: z.int().min(2).max(256).default(4).describe("Continuations in one set, n; N is a multiple of it"),
  partitions: z.int().min(1).max(1000).default(2).describe("Times that all continuations are cut into sets"),
  window: steps.default(5).describe("Steps of a continuation that have its sets' advantage"),
  minScore: z.number().default(0).describe("Score of a continuation that fails"),
  maxScore: z.number().default(1).describe("Score of one that succeeds"),
  klCoefficient: weight.default(0.01).describe("Weight β of the exact KL to the sealing policy"),
});
type PolychromicParams = z.output<typeof params>;

/** `count` numbers shuffled and cut into runs of `size`. */
function partition(count: number, size: number, random: Random): Uint32Array[] {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  random.shuffle(order);
  return Array.from({ length: Math.ceil(count / size) }, (_, k) => order.slice(k * size, (k + 1) * size));
}

function vineAdvantages({ setSize, partitions, window, minScore, maxScore }: PolychromicParams): Derive {
  return {
    ...{ id: "vineAdvantages", when: "seal", needs: ["rewards", "advantages"], writes: ["advantages"] },
    run(batch, { random }) {
      const advantages = stepColumn(batch, "advantages").slice();
      const [scores, answers] = [rowColumn(batch, "score"), answersOf(batch)];
      for (const { rows } of treesOf(batch).flatMap(({ forks }) => forks)) {
        const returns = Float64Array.from(rows, (row) => (scores[row]! - minScore) / (maxScore - minScore));
        const sets = Array.from({ length: partitions }, () => partition(rows.length, setSize, random)).flat();
        const ofRows = polychromicAdvantages(returns, gather(answers, rows), sets);
        rows.forEach((row, i) => {
          const [from, to] = [batch.offsets[row]!, batch.offsets[row + 1]!];
          advantages.fill(ofRows[i]!, from, Math.min(to, from + window));
        });
      }
      return { step: { advantages } };
    },
  };
}

export const polychromic: RecipeDefinition<PolychromicParams> = {
  id: "polychromic",
  summary: "Polychromic PPO: sets of continuations scored for return and diversity (Hamid et al. 2025)",
  source: { confidence: "note", checked: "summaries and reproductions of the paper" },
  params,
  build(p) {
    const { vineStates: states, vineRollouts: count, vineSteps: maxSteps, setSize } = p;
    expectParams(
      "polychromic",
      count % setSize === 0,
      `recipe.params.vineRollouts to be a multiple of setSize, got ${count} and ${setSize}`,
    );
    expectParams(
      "polychromic",
      p.minScore < p.maxScore,
      `recipe.params.minScore below maxScore, got ${p.minScore} and ${p.maxScore}`,
    );
    const base = ppo.build(p);
    const pulls = p.klCoefficient > 0;
    return {
      ...base,
      id: "polychromic",
      requires: ["groups", "snapshots", "value", ...(pulls ? ["exactKl" as const] : [])],
      sampler: { ...base.sampler, branches: { at: "random", states, count, maxSteps } },
      evaluate: pulls ? ["value", "policy"] : ["value"],
      derive: [...base.derive, vineAdvantages(p)],
      terms: [...base.terms, ...(pulls ? [policyKlTerm(p.klCoefficient)] : [])],
    };
  },
};
