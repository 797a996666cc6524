/**
 * Truncation-v1: the first action chooses between leaving, for `exit`, and staying, where every step pays 1 and further
 * actions have no effect. After `limit` steps the episode is cut, which nothing shows beforehand. A cut is no end:
 * staying is worth V = 1/(1 − γ) at every step, with γ = 0.9 10 and so more than the default `exit`, for a return of
 * `limit`. It catches truncation that is taken for termination: staying would then be worth at most
 * (1 − γ^limit)/(1 − γ) ≈ 6.5, and leaving better.
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

/** States: 0 the choice, 1 staying. */
export function truncationProblem({ exit }: Pick<TruncationParams, "exit">): TabularProblem {
  return {
    states: 2,
    actions: 2,
    starts: [0],
    transitions(state, action) {
      const leaves = state === 0 && action === LEAVE;
      return [{ probability: 1, next: 1, reward: leaves ? exit : 1, terminated: leaves }];
    },
  };
}

export const truncation: EnvironmentDefinition<TruncationParams> = {
  id: "Truncation-v1",
  params,
  spec: ({ limit }): EnvironmentSpec => ({
    id: "Truncation-v1",
    observationSpace: discrete(2),
    actionSpace: discrete(2),
    maxEpisodeSteps: limit,
    rewardThreshold: 0.95 * limit,
    snapshots: true,
  }),
  vectorize: (spec, given, count) => new TabularEnvironment(spec, count, truncationProblem(given)),
};
