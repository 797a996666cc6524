/**
 * Masked-v1: episodes of one step in which two of the k actions are allowed, a pair drawn at random; only the mask tells
 * which. The higher one pays 1, the lower one 0, a forbidden one −1. It catches masks that do not reach the policy, in
 * acting or in training, or that are another step's. Best return 1: always the highest allowed action. Without masks
 * the best is always the highest, at 4/k − 1.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem } from "../grid/tabular.js";

const params = z.strictObject({
  actions: z.int().min(3).max(100).default(5).describe("Actions, two of which are allowed"),
});
type MaskedParams = z.output<typeof params>;

/** [lower, higher] of every pair of actions, in the order of the states. */
function pairsOf(actions: number): readonly (readonly [number, number])[] {
  const all = Array.from({ length: actions }, (_, a) => a);
  return all.flatMap((lower) => all.slice(lower + 1).map((higher) => [lower, higher] as const));
}

export function maskedProblem({ actions }: MaskedParams): TabularProblem {
  const pairs = pairsOf(actions);
  return {
    states: pairs.length,
    actions,
    starts: pairs.map((_, state) => state),
    transitions(state, action) {
      const [lower, higher] = pairs[state]!;
      const reward = action === higher ? 1 : action === lower ? 0 : -1;
      return [{ probability: 1, next: state, reward, terminated: true }];
    },
  };
}

class Masked extends TabularEnvironment {
  private readonly pairs: readonly (readonly [number, number])[];

  constructor(spec: EnvironmentSpec, count: number, params: MaskedParams) {
    super(spec, count, maskedProblem(params));
    this.pairs = pairsOf(params.actions);
  }

  override observe(_i: number, out: Float32Array, at: number): void {
    out[at] = 0;
  }

  protected override allow(i: number, out: Uint8Array, at: number): void {
    out.fill(0, at, at + this.pairs.at(-1)![1] + 1);
    for (const action of this.pairs[this.state[0]![i]!]!) out[at + action] = 1;
  }
}

export const masked: EnvironmentDefinition<MaskedParams> = {
  id: "Masked-v1",
  params,
  spec: ({ actions }): EnvironmentSpec => ({
    id: "Masked-v1",
    observationSpace: discrete(1),
    actionSpace: discrete(actions),
    maxEpisodeSteps: 1,
    rewardThreshold: 0.9,
    snapshots: true,
    actionMasks: true,
  }),
  vectorize: (spec, given, count) => new Masked(spec, count, given),
};
