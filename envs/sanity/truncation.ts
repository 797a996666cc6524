/**
 * Truncation-v1: every step pays 1; after `limit` steps the episode is cut, which nothing shows beforehand. The other
 * action leaves for good with `exit` as the last reward. A cut is no end: V = 1/(1 − γ) for staying, at every step, so
 * that with γ = 0.9 and the defaults staying (10) is better than leaving (7.5), and its return is `limit`. It catches
 * truncation that is taken for termination: staying would then be worth 1/(1 − γ·(1 − 1/limit)) ≈ 5.3 on average, and
 * leaving better.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem } from "../grid/tabular.js";

const LEAVE = 1;

const params = z.strictObject({
  limit: z.int().min(1).max(100_000).default(10).describe("Steps at which an episode is cut"),
  exit: z.number().default(7.5).describe("Reward for leaving"),
});
type TruncationParams = z.output<typeof params>;

export function truncationProblem({ exit }: Pick<TruncationParams, "exit">): TabularProblem {
  return {
    states: 1,
    actions: 2,
    starts: [0],
    transitions(state, action) {
      const leaves = action === LEAVE;
      return [{ probability: 1, next: state, reward: leaves ? exit : 1, terminated: leaves }];
    },
  };
}

export const truncation: EnvironmentDefinition<TruncationParams> = {
  id: "Truncation-v1",
  params,
  spec: ({ limit }): EnvironmentSpec => ({
    id: "Truncation-v1",
    observationSpace: discrete(1),
    actionSpace: discrete(2),
    maxEpisodeSteps: limit,
    rewardThreshold: 0.95 * limit,
  }),
  vectorize: (spec, given, count) => new TabularEnvironment(spec, count, truncationProblem(given)),
};
