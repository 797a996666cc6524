/**
 * Acrobot-v1: swing the free end of a two-link pendulum above a line by torque on the middle joint. Dynamics of
 * Gymnasium 1.3.0 `classic_control/acrobot.py` ("book" equations of Sutton 1996, "Generalization in
 * reinforcement learning …"), one fourth-order Runge–Kutta step; operations in Gymnasium's order.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const STEP = 0.2; // s
const GRAVITY = 9.8; // m/s²
const MASS_1 = 1.0; // kg
const MASS_2 = 1.0; // kg
const LENGTH_1 = 1.0; // m
const CENTRE_1 = 0.5; // m, joint to centre of mass
const CENTRE_2 = 0.5; // m
const INERTIA = 1.0; // kg·m², each link
const MAX_SPEED_1 = 4 * Math.PI; // rad/s
const MAX_SPEED_2 = 9 * Math.PI; // rad/s

const spec: EnvironmentSpec = {
  id: "Acrobot-v1",
  observationSpace: box(
    [6],
    [-1, -1, -1, -1, -MAX_SPEED_1, -MAX_SPEED_2],
    [1, 1, 1, 1, MAX_SPEED_1, MAX_SPEED_2],
  ),
  actionSpace: discrete(3),
  maxEpisodeSteps: 500,
  rewardThreshold: -100,
  snapshots: true,
};

/**
 * Time derivative of (θ1, θ2, θ̇1, θ̇2) under `torque` (N·m), at y + h·k elementwise, written to `out` [4].
 * `y`, `k` [4]; `out` may not be `k`.
 */
function derivative(y: Float64Array, h: number, k: Float64Array, torque: number, out: Float64Array): void {
  const theta1 = y[0]! + h * k[0]!;
  const theta2 = y[1]! + h * k[1]!;
  const speed1 = y[2]! + h * k[2]!;
  const speed2 = y[3]! + h * k[3]!;
  const cos2 = Math.cos(theta2);
  const sin2 = Math.sin(theta2);
  const d1 =
    MASS_1 * (CENTRE_1 * CENTRE_1) +
    MASS_2 * (LENGTH_1 * LENGTH_1 + CENTRE_2 * CENTRE_2 + 2 * LENGTH_1 * CENTRE_2 * cos2) +
    INERTIA +
    INERTIA;
  const d2 = MASS_2 * (CENTRE_2 * CENTRE_2 + LENGTH_1 * CENTRE_2 * cos2) + INERTIA;
  const phi2 = MASS_2 * CENTRE_2 * GRAVITY * Math.cos(theta1 + theta2 - Math.PI / 2);
  const phi1 =
    -MASS_2 * LENGTH_1 * CENTRE_2 * (speed2 * speed2) * sin2 -
    2 * MASS_2 * LENGTH_1 * CENTRE_2 * speed2 * speed1 * sin2 +
    (MASS_1 * CENTRE_1 + MASS_2 * LENGTH_1) * GRAVITY * Math.cos(theta1 - Math.PI / 2) +
    phi2;
  const acceleration2 =
    (torque + (d2 / d1) * phi1 - MASS_2 * LENGTH_1 * CENTRE_2 * (speed1 * speed1) * sin2 - phi2) /
    (MASS_2 * (CENTRE_2 * CENTRE_2) + INERTIA - (d2 * d2) / d1);
  out[0] = speed1;
  out[1] = speed2;
  out[2] = -(d2 * acceleration2 + phi1) / d1;
  out[3] = acceleration2;
}

/** `angle` in [−π, π], rad. */
function wrap(angle: number): number {
  let x = angle;
  while (x > Math.PI) x -= 2 * Math.PI;
  while (x < -Math.PI) x += 2 * Math.PI;
  return x;
}

function clamp(x: number, limit: number): number {
  return Math.min(Math.max(x, -limit), limit);
}

/** State: angle of the first link (rad, 0 = hanging), of the second relative to it, and their speeds (rad/s). */
export class Acrobot extends ArrayEnvironment {
  private readonly y = new Float64Array(4);
  private readonly zero = new Float64Array(4);
  private readonly k1 = new Float64Array(4);
  private readonly k2 = new Float64Array(4);
  private readonly k3 = new Float64Array(4);
  private readonly k4 = new Float64Array(4);

  constructor(environmentSpec: EnvironmentSpec, count: number) {
    super(environmentSpec, count, 4);
  }

  /** Gymnasium keeps the start state in float32. */
  protected begin(i: number, random: Random): void {
    for (let k = 0; k < 4; k++) this.state[k]![i] = Math.fround(random.between(-0.1, 0.1));
  }

  /** Actions 0, 1, 2: torque −1, 0, +1 N·m. Reward −1 a step, 0 for the step that reaches the line. */
  advance(i: number, actions: ActionArray): void {
    const { state, y, k1, k2, k3, k4 } = this;
    const torque = actions[i]! - 1;
    for (let k = 0; k < 4; k++) y[k] = state[k]![i]!;
    derivative(y, 0, this.zero, torque, k1);
    derivative(y, STEP / 2, k1, torque, k2);
    derivative(y, STEP / 2, k2, torque, k3);
    derivative(y, STEP, k3, torque, k4);
    for (let k = 0; k < 4; k++) {
      y[k] = y[k]! + (STEP / 6) * (k1[k]! + 2 * k2[k]! + 2 * k3[k]! + k4[k]!);
    }
    const theta1 = wrap(y[0]!);
    const theta2 = wrap(y[1]!);
    state[0]![i] = theta1;
    state[1]![i] = theta2;
    state[2]![i] = clamp(y[2]!, MAX_SPEED_1);
    state[3]![i] = clamp(y[3]!, MAX_SPEED_2);
    const reached = -Math.cos(theta1) - Math.cos(theta2 + theta1) > 1;
    this.terminated[i] = reached ? 1 : 0;
    this.rewards[i] = reached ? 0 : -1;
  }

  observe(i: number, out: Float32Array, at: number): void {
    const theta1 = this.state[0]![i]!;
    const theta2 = this.state[1]![i]!;
    out[at] = Math.cos(theta1);
    out[at + 1] = Math.sin(theta1);
    out[at + 2] = Math.cos(theta2);
    out[at + 3] = Math.sin(theta2);
    out[at + 4] = this.state[2]![i]!;
    out[at + 5] = this.state[3]![i]!;
  }
}

export const acrobot: EnvironmentDefinition = {
  id: spec.id,
  params: z.strictObject({}),
  spec: () => spec,
  vectorize: (environmentSpec, _params, count) => new Acrobot(environmentSpec, count),
};
