/**
 * Discount-v1: the first action chooses between a small reward at once and 1 after `delay` further steps; both ways are
 * equally long, and the actions on them have no effect. V(start) = max(`now`, γ^delay), V = γ^k with k steps to go to
 * the reward. The best policy waits where γ^delay > `now`, for a return of 1, and else does not, for `now`. It catches
 * values that are not bootstrapped (never waits) and a discount that is not applied (always waits).
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem } from "../grid/tabular.js";

const LATER = 1;

const params = z.strictObject({
  delay: z.int().min(1).max(1000).default(4).describe("Steps by which the reward of 1 is later"),
  now: z.number().min(0).max(1).default(0.5).describe("Reward of the other choice"),
});
type DiscountParams = z.output<typeof params>;

/** States: 0 the choice, 1 … delay on the way to the reward, delay + 1 … 2·delay on the way without one. */
export function discountProblem({ delay, now }: DiscountParams): TabularProblem {
  return {
    states: 1 + 2 * delay,
    actions: 2,
    starts: [0],
    transitions(state, action) {
      if (state === 0) {
        const chosen = action === LATER ? { next: 1, reward: 0 } : { next: delay + 1, reward: now };
        return [{ probability: 1, ...chosen, terminated: false }];
      }
      const ends = state % delay === 0;
      const reward = state === delay ? 1 : 0;
      return [{ probability: 1, next: ends ? state : state + 1, reward, terminated: ends }];
    },
  };
}

export const discount: EnvironmentDefinition<DiscountParams> = {
  id: "Discount-v1",
  params,
  spec: ({ delay }): EnvironmentSpec => ({
    id: "Discount-v1",
    observationSpace: discrete(1 + 2 * delay),
    actionSpace: discrete(2),
    maxEpisodeSteps: delay + 1,
    rewardThreshold: 0.95,
    snapshots: true,
  }),
  vectorize: (spec, given, count) => new TabularEnvironment(spec, count, discountProblem(given)),
};
