/**
 * CliffWalking-v1 and CliffWalkingSlippery-v1: walk along a cliff on a 4×12 grid; falling leads back to the
 * start. Transitions of Gymnasium 1.3.0 `toy_text/cliffwalking.py` (Sutton & Barto 2018, example 6.6). Like
 * Gymnasium's these have no time limit. States are numbered row by row.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem, type Transition } from "./tabular.js";

const ROWS = 4;
const COLUMNS = 12;
const START = (ROWS - 1) * COLUMNS;
const GOAL = ROWS * COLUMNS - 1;
/** [row, column] of actions 0 up, 1 right, 2 down, 3 left. */
const MOVES = [
  [-1, 0],
  [0, 1],
  [1, 0],
  [0, -1],
] as const;

/** Reward −1 a step and −100 for a fall. Slippery: either side of the intended direction as often as in it. */
export function cliffWalkingProblem(slippery: boolean): TabularProblem {
  const move = (state: number, action: number, probability: number): Transition => {
    const [down, right] = MOVES[action]!;
    const row = Math.min(Math.max(Math.floor(state / COLUMNS) + down, 0), ROWS - 1);
    const column = Math.min(Math.max((state % COLUMNS) + right, 0), COLUMNS - 1);
    const next = row * COLUMNS + column;
    if (next > START && next < GOAL) return { probability, next: START, reward: -100, terminated: false };
    return { probability, next, reward: -1, terminated: next === GOAL };
  };
  return {
    states: ROWS * COLUMNS,
    actions: MOVES.length,
    starts: [START],
    transitions: (state, action) =>
      slippery
        ? [(action + 3) % 4, action, (action + 1) % 4].map((a) => move(state, a, 1 / 3))
        : [move(state, action, 1)],
  };
}

function define(id: string, slippery: boolean): EnvironmentDefinition {
  const spec: EnvironmentSpec = {
    id,
    observationSpace: discrete(ROWS * COLUMNS),
    actionSpace: discrete(MOVES.length),
    maxEpisodeSteps: null,
    rewardThreshold: null,
    snapshots: true,
    stepExtras: ["actionValid"],
  };
  return {
    id,
    params: z.strictObject({}),
    spec: () => spec,
    vectorize: (environmentSpec, _params, count) =>
      new TabularEnvironment(environmentSpec, count, cliffWalkingProblem(slippery)),
  };
}

export const cliffWalking = define("CliffWalking-v1", false);
export const cliffWalkingSlippery = define("CliffWalkingSlippery-v1", true);
