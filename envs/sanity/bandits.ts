/**
 * Bandit-v1 and ContextBandit-v1: episodes of one step, one of k arms pays 1, the others nothing. After the probe
 * environments of Jones 2021, "Debugging Reinforcement Learning Systems".
 *
 * Bandit-v1 shows nothing. It catches a policy gradient of the wrong sign, actions that are recorded as others than
 * were played, and updates that never reach the actors. Best return 1, of random play 1/k.
 *
 * ContextBandit-v1 shows the arm that pays. It catches observations that do not reach the policy, or another step's.
 * Best return and the value of every observation 1; of play that is blind to it 1/k.
 */
import { z } from "zod";
import type { EnvironmentDefinition } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem } from "../grid/tabular.js";

const params = z.strictObject({
  arms: z.int().min(2).max(1000).default(5).describe("Arms, one of which pays"),
});
type BanditParams = z.output<typeof params>;

/** The state is the arm that pays; an episode starts in one of `paying`. */
export function banditProblem(arms: number, paying: readonly number[]): TabularProblem {
  return {
    states: arms,
    actions: arms,
    starts: paying,
    transitions: (state, action) => [
      { probability: 1, next: state, reward: action === state ? 1 : 0, terminated: true },
    ],
  };
}

/** Shows the same, whichever arm pays. */
class BlindBandit extends TabularEnvironment {
  override observe(_i: number, out: Float32Array, at: number): void {
    out[at] = 0;
  }
}

const common = { maxEpisodeSteps: 1, rewardThreshold: 0.95, snapshots: true };

export const bandit: EnvironmentDefinition<BanditParams> = {
  id: "Bandit-v1",
  params,
  spec: ({ arms }) => ({
    id: "Bandit-v1",
    observationSpace: discrete(1),
    actionSpace: discrete(arms),
    ...common,
  }),
  vectorize: (spec, { arms }, count) => new BlindBandit(spec, count, banditProblem(arms, [arms - 1])),
};

export const contextBandit: EnvironmentDefinition<BanditParams> = {
  id: "ContextBandit-v1",
  params,
  spec: ({ arms }) => ({
    id: "ContextBandit-v1",
    observationSpace: discrete(arms),
    actionSpace: discrete(arms),
    ...common,
  }),
  vectorize: (spec, { arms }, count) => {
    const all = Array.from({ length: arms }, (_, arm) => arm);
    return new TabularEnvironment(spec, count, banditProblem(arms, all));
  },
};
