/**
 * FrozenLake-v1 (4×4) and FrozenLake8x8-v1: cross the ice to the goal without falling into a hole. Maps and
 * transitions of Gymnasium 1.3.0 `toy_text/frozen_lake.py`. States are numbered row by row.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem, type Transition } from "./tabular.js";

/** S start, F frozen, H hole, G goal; square. */
const MAPS = {
  "4x4": ["SFFF", "FHFH", "FFFH", "HFFG"],
  "8x8": ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"],
} as const;
type MapName = keyof typeof MAPS;

/** [row, column] of actions 0 left, 1 down, 2 right, 3 up. */
const MOVES = [
  [0, -1],
  [1, 0],
  [0, 1],
  [-1, 0],
] as const;

const INTENDED = 1 / 3;
const SIDEWAYS = (1 - INTENDED) / 2;

const paramsSchema = z.strictObject({
  slippery: z
    .boolean()
    .default(true)
    .describe("On slippery ice a move goes to either side of the intended direction as often as in it"),
});
type FrozenLakeParams = z.infer<typeof paramsSchema>;

/** Reward 1 on reaching the goal, else 0. A move's deterministic part ends on the tile that was meant. */
export function frozenLakeProblem(map: MapName, slippery: boolean): TabularProblem {
  const size = MAPS[map].length;
  const tiles = MAPS[map].join("");
  const ends = (state: number): boolean => tiles[state] === "G" || tiles[state] === "H";
  const clamp = (x: number): number => Math.min(Math.max(x, 0), size - 1);

  const move = (state: number, action: number, probability: number): Transition => {
    const [down, right] = MOVES[action]!;
    const next = clamp(Math.floor(state / size) + down) * size + clamp((state % size) + right);
    return { probability, next, reward: tiles[next] === "G" ? 1 : 0, terminated: ends(next) };
  };

  return {
    states: tiles.length,
    actions: MOVES.length,
    starts: [tiles.indexOf("S")],
    transitions(state, action) {
      if (ends(state)) return [{ probability: 1, next: state, reward: 0, terminated: true }];
      if (!slippery) return [move(state, action, 1)];
      return [
        move(state, (action + 3) % 4, SIDEWAYS),
        move(state, action, INTENDED),
        move(state, (action + 1) % 4, SIDEWAYS),
      ];
    },
    postDecision: (state, action) => move(state, action, 1).next,
  };
}

function define(
  id: string,
  map: MapName,
  maxEpisodeSteps: number,
  rewardThreshold: number,
): EnvironmentDefinition<FrozenLakeParams> {
  const spec: EnvironmentSpec = {
    id,
    observationSpace: discrete(MAPS[map].length ** 2),
    actionSpace: discrete(MOVES.length),
    maxEpisodeSteps,
    rewardThreshold,
    snapshots: true,
    stepExtras: ["actionValid"],
    postDecisionStates: true,
  };
  return {
    id,
    params: paramsSchema,
    spec: () => spec,
    vectorize: (environmentSpec, { slippery }, count) =>
      new TabularEnvironment(environmentSpec, count, frozenLakeProblem(map, slippery)),
  };
}

export const frozenLake = define("FrozenLake-v1", "4x4", 100, 0.7);
export const frozenLake8x8 = define("FrozenLake8x8-v1", "8x8", 200, 0.85);
