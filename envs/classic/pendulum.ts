/**
 * Pendulum-v1: swing a pendulum up and hold it there with little torque. Dynamics of Gymnasium 1.3.0
 * `classic_control/pendulum.py` with its default g = 10 m/s², m = 1 kg, l = 1 m. No state ends an episode.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const MAX_SPEED = 8; // rad/s
const MAX_TORQUE = 2; // N·m
const STEP = 0.05; // s
const GRAVITY_FACTOR = (3 * 10) / 2; // 3g / 2l, 1/s²
const TORQUE_FACTOR = 3; // 3 / ml², 1/(kg·m²)
const TURN = 2 * Math.PI;

const spec: EnvironmentSpec = {
  id: "Pendulum-v1",
  observationSpace: box([3], [-1, -1, -MAX_SPEED], [1, 1, MAX_SPEED]),
  actionSpace: box([1], -MAX_TORQUE, MAX_TORQUE),
  maxEpisodeSteps: 200,
  rewardThreshold: null,
  snapshots: true,
};

/** `angle` in [−π, π), rad, as Python's floored modulo gives it. */
function normalizeAngle(angle: number): number {
  const rest = (angle + Math.PI) % TURN;
  return (rest < 0 ? rest + TURN : rest) - Math.PI;
}

/** State: angle (rad, 0 = upright, unwrapped) and its speed (rad/s). */
export class Pendulum extends ArrayEnvironment {
  private readonly theta: Float64Array;
  private readonly thetaDot: Float64Array;

  constructor(environmentSpec: EnvironmentSpec, count: number) {
    super(environmentSpec, count, 2);
    this.theta = this.state[0]!;
    this.thetaDot = this.state[1]!;
  }

  protected begin(i: number, random: Random): void {
    this.theta[i] = random.between(-Math.PI, Math.PI);
    this.thetaDot[i] = random.between(-1, 1);
  }

  /** The action is a torque, clipped to ±2 N·m. Reward −(θ² + 0.1·θ̇² + 0.001·torque²) of the state left. */
  advance(i: number, actions: ActionArray): void {
    const theta = this.theta[i]!;
    const thetaDot = this.thetaDot[i]!;
    const torque = Math.min(Math.max(actions[i]!, -MAX_TORQUE), MAX_TORQUE);
    const angle = normalizeAngle(theta);
    this.rewards[i] = -(angle * angle + 0.1 * (thetaDot * thetaDot) + 0.001 * (torque * torque));
    const next = thetaDot + (GRAVITY_FACTOR * Math.sin(theta) + TORQUE_FACTOR * torque) * STEP;
    const speed = Math.min(Math.max(next, -MAX_SPEED), MAX_SPEED);
    this.thetaDot[i] = speed;
    this.theta[i] = theta + speed * STEP;
    this.terminated[i] = 0;
  }

  observe(i: number, out: Float32Array, at: number): void {
    const theta = this.theta[i]!;
    out[at] = Math.cos(theta);
    out[at + 1] = Math.sin(theta);
    out[at + 2] = this.thetaDot[i]!;
  }
}

export const pendulum: EnvironmentDefinition = {
  id: spec.id,
  params: z.strictObject({}),
  spec: () => spec,
  vectorize: (environmentSpec, _params, count) => new Pendulum(environmentSpec, count),
};
