/**
 * MountainCarContinuous-v0: the mountain car with a continuous force and a price on it. Dynamics of Gymnasium
 * 1.3.0 `classic_control/continuous_mountain_car.py`, which rounds its state to float32 after every step.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const MIN_POSITION = -1.2;
const MAX_POSITION = 0.6;
const MAX_SPEED = 0.07;
const GOAL_POSITION = 0.45;
const POWER = 0.0015;

const spec: EnvironmentSpec = {
  id: "MountainCarContinuous-v0",
  observationSpace: box([2], [MIN_POSITION, -MAX_SPEED], [MAX_POSITION, MAX_SPEED]),
  actionSpace: box([1], -1, 1),
  maxEpisodeSteps: 999,
  rewardThreshold: 90,
  snapshots: true,
};

/** State: position along the valley and speed, in Gymnasium's dimensionless units per step. */
export class MountainCarContinuous extends ArrayEnvironment {
  private readonly position: Float64Array;
  private readonly speed: Float64Array;

  constructor(environmentSpec: EnvironmentSpec, count: number) {
    super(environmentSpec, count, 2);
    this.position = this.state[0]!;
    this.speed = this.state[1]!;
  }

  protected begin(i: number, random: Random): void {
    this.position[i] = random.between(-0.6, -0.4);
    this.speed[i] = 0;
  }

  /** The action is a force, clipped to [−1, 1]; its price, 0.1·action², is that of the action as given. */
  advance(i: number, actions: ActionArray): void {
    const action = actions[i]!;
    const force = Math.min(Math.max(action, -1), 1);
    let position = this.position[i]!;
    let speed = this.speed[i]! + (force * POWER - 0.0025 * Math.cos(3 * position));
    speed = Math.min(Math.max(speed, -MAX_SPEED), MAX_SPEED);
    position = Math.min(Math.max(position + speed, MIN_POSITION), MAX_POSITION);
    if (position === MIN_POSITION && speed < 0) speed = 0;
    const reached = position >= GOAL_POSITION && speed >= 0;
    this.position[i] = Math.fround(position);
    this.speed[i] = Math.fround(speed);
    this.terminated[i] = reached ? 1 : 0;
    this.rewards[i] = (reached ? 100 : 0) - action * action * 0.1;
  }

  observe(i: number, out: Float32Array, at: number): void {
    out[at] = this.position[i]!;
    out[at + 1] = this.speed[i]!;
  }
}

export const mountainCarContinuous: EnvironmentDefinition = {
  id: spec.id,
  params: z.strictObject({}),
  spec: () => spec,
  vectorize: (environmentSpec, _params, count) => new MountainCarContinuous(environmentSpec, count),
};
