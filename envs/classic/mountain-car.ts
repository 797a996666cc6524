/**
 * MountainCar-v0: rock an underpowered car out of a valley. Dynamics of Gymnasium 1.3.0
 * `classic_control/mountain_car.py` (Moore 1990, "Efficient memory-based learning for robot control").
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const MIN_POSITION = -1.2;
const MAX_POSITION = 0.6;
const MAX_SPEED = 0.07;
const GOAL_POSITION = 0.5;
const FORCE = 0.001;
const GRAVITY = 0.0025;

const spec: EnvironmentSpec = {
  id: "MountainCar-v0",
  observationSpace: box([2], [MIN_POSITION, -MAX_SPEED], [MAX_POSITION, MAX_SPEED]),
  actionSpace: discrete(3),
  maxEpisodeSteps: 200,
  rewardThreshold: -110,
  snapshots: true,
};

/** State: position along the valley and speed, in Gymnasium's dimensionless units per step. */
export class MountainCar extends ArrayEnvironment {
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

  /** Actions 0, 1, 2: push left, nothing, push right. Reward −1 a step. */
  advance(i: number, actions: ActionArray): void {
    let position = this.position[i]!;
    let speed = this.speed[i]! + ((actions[i]! - 1) * FORCE + Math.cos(3 * position) * -GRAVITY);
    speed = Math.min(Math.max(speed, -MAX_SPEED), MAX_SPEED);
    position = Math.min(Math.max(position + speed, MIN_POSITION), MAX_POSITION);
    if (position === MIN_POSITION && speed < 0) speed = 0;
    this.position[i] = position;
    this.speed[i] = speed;
    this.rewards[i] = -1;
    this.terminated[i] = position >= GOAL_POSITION && speed >= 0 ? 1 : 0;
  }

  observe(i: number, out: Float32Array, at: number): void {
    out[at] = this.position[i]!;
    out[at + 1] = this.speed[i]!;
  }
}

export const mountainCar: EnvironmentDefinition = {
  id: spec.id,
  params: z.strictObject({}),
  spec: () => spec,
  vectorize: (environmentSpec, _params, count) => new MountainCar(environmentSpec, count),
};
