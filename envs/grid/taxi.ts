/**
 * Taxi-v4: fetch a passenger at one of four places and bring them to another. Transitions of Gymnasium 1.3.0
 * `toy_text/taxi.py` in dry weather (Dietterich 2000, "Hierarchical reinforcement learning with the MAXQ value
 * function decomposition").
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { TabularEnvironment, type TabularProblem, type Transition } from "./tabular.js";

const SIZE = 5;
/** One row of the town a line; `|` between two squares is a wall, `:` an open way. */
const MAP = ["|R: | : :G|", "| : | : : |", "| : : : : |", "| | : | : |", "|Y| : |B: |"];
/** Squares (row·5 + column) of places 0 red, 1 green, 2 yellow, 3 blue. */
const PLACES = [0, 4, 20, 23];
const IN_TAXI = PLACES.length;
const STATES = SIZE * SIZE * (PLACES.length + 1) * PLACES.length;

/** Number of the state: taxi at `square`, passenger at a place or in the taxi (4), going to `destination`. */
function encode(square: number, passenger: number, destination: number): number {
  return (square * (PLACES.length + 1) + passenger) * PLACES.length + destination;
}

/** Square the taxi reaches by moving 0 south, 1 north, 2 east, 3 west; walls stand only between east and west. */
function drive(square: number, action: number): number {
  const row = Math.floor(square / SIZE);
  const column = square % SIZE;
  if (action === 0) return row < SIZE - 1 ? square + SIZE : square;
  if (action === 1) return row > 0 ? square - SIZE : square;
  if (action === 2) return MAP[row]![2 * column + 2] === ":" ? square + 1 : square;
  return MAP[row]![2 * column] === ":" ? square - 1 : square;
}

/** Actions 0–3 drive, 4 picks up, 5 drops off. Reward −1 a step, −10 for an idle pick-up or drop-off, 20 for arriving. */
function outcome(state: number, action: number): Omit<Transition, "probability"> {
  const destination = state % PLACES.length;
  const passenger = Math.floor(state / PLACES.length) % (PLACES.length + 1);
  const square = Math.floor(state / (PLACES.length * (PLACES.length + 1)));
  const idle = { next: state, reward: -10, terminated: false };

  if (action < 4) {
    return { next: encode(drive(square, action), passenger, destination), reward: -1, terminated: false };
  }
  if (action === 4) {
    if (passenger === IN_TAXI || PLACES[passenger] !== square) return idle;
    return { next: encode(square, IN_TAXI, destination), reward: -1, terminated: false };
  }
  const place = PLACES.indexOf(square);
  if (passenger !== IN_TAXI || place === -1) return idle;
  const arrived = place === destination;
  return { next: encode(square, place, destination), reward: arrived ? 20 : -1, terminated: arrived };
}

function startStates(): number[] {
  const starts: number[] = [];
  for (let state = 0; state < STATES; state++) {
    const passenger = Math.floor(state / PLACES.length) % (PLACES.length + 1);
    if (passenger !== IN_TAXI && passenger !== state % PLACES.length) starts.push(state);
  }
  return starts;
}

export const taxiProblem: TabularProblem = {
  states: STATES,
  actions: 6,
  starts: startStates(),
  transitions: (state, action) => [{ probability: 1, ...outcome(state, action) }],
};

const spec: EnvironmentSpec = {
  id: "Taxi-v4",
  observationSpace: discrete(STATES),
  actionSpace: discrete(6),
  maxEpisodeSteps: 200,
  rewardThreshold: 8,
  snapshots: true,
  stepExtras: ["actionValid"],
};

const params = z.strictObject({
  actionMasks: z
    .boolean()
    .default(false)
    .describe(
      'Forbid actions that would leave the state as it is, as info["action_mask"] of Gymnasium has them',
    ),
});

export const taxi: EnvironmentDefinition<z.output<typeof params>> = {
  id: spec.id,
  params,
  spec: ({ actionMasks }) => ({ ...spec, actionMasks }),
  vectorize: (environmentSpec, _params, count) => new TabularEnvironment(environmentSpec, count, taxiProblem),
};
