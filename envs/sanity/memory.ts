/**
 * Memory-v1: a cue, left or right, is shown at the first step only; a corridor follows, then a junction at which the
 * action must be the cue's. Reward 1 for the right choice, −1 for the wrong one, else 0 (the T-maze of Bakker 2002,
 * "Reinforcement learning with long short-term memory", without the walking). It catches memory that is lost from
 * step to step, in acting or in training, or is another instance's. Best return 1 with memory, 0 without.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem } from "../grid/tabular.js";

/** What is seen: cue 0 or 1, the corridor, the junction. */
const CORRIDOR = 2;
const JUNCTION = 3;

const params = z.strictObject({
  corridor: z.int().min(0).max(1000).default(4).describe("Steps between the cue and the junction"),
});
type MemoryParams = z.output<typeof params>;

/** State: 2·step + cue; the junction is step corridor + 1. */
export function memoryProblem({ corridor }: MemoryParams): TabularProblem {
  return {
    states: 2 * (corridor + 2),
    actions: 2,
    starts: [0, 1],
    transitions(state, action) {
      if (state < 2 * (corridor + 1)) {
        return [{ probability: 1, next: state + 2, reward: 0, terminated: false }];
      }
      return [{ probability: 1, next: state, reward: action === state % 2 ? 1 : -1, terminated: true }];
    },
  };
}

class Memory extends TabularEnvironment {
  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly params: MemoryParams,
  ) {
    super(spec, count, memoryProblem(params));
  }

  override observe(i: number, out: Float32Array, at: number): void {
    const state = this.state[0]![i]!;
    const last = 2 * (this.params.corridor + 1);
    if (state < 2) out[at] = state;
    else out[at] = state < last ? CORRIDOR : JUNCTION;
  }
}

export const memory: EnvironmentDefinition<MemoryParams> = {
  id: "Memory-v1",
  params,
  spec: ({ corridor }): EnvironmentSpec => ({
    id: "Memory-v1",
    observationSpace: discrete(JUNCTION + 1),
    actionSpace: discrete(2),
    maxEpisodeSteps: corridor + 2,
    rewardThreshold: 0.95,
    snapshots: true,
  }),
  vectorize: (spec, given, count) => new Memory(spec, count, given),
};
