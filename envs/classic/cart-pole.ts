/**
 * CartPole-v1: keep a pole upright on a cart by pushing the cart left or right. Dynamics of Gymnasium 1.3.0
 * `classic_control/cartpole.py` (Barto, Sutton & Anderson 1983, "Neuronlike adaptive elements …"), Euler
 * integration; the order of the floating-point operations is Gymnasium's.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

const GRAVITY = 9.8; // m/s²
const POLE_MASS = 0.1; // kg
const TOTAL_MASS = POLE_MASS + 1.0; // kg, pole and cart
const HALF_LENGTH = 0.5; // m
const POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH;
const FORCE = 10.0; // N
const TAU = 0.02; // s
const MAX_X = 2.4; // m
const MAX_THETA = (12 * 2 * Math.PI) / 360; // rad

const spec: EnvironmentSpec = {
  id: "CartPole-v1",
  observationSpace: box(
    [4],
    [-MAX_X * 2, -Infinity, -MAX_THETA * 2, -Infinity],
    [MAX_X * 2, Infinity, MAX_THETA * 2, Infinity],
  ),
  actionSpace: discrete(2),
  maxEpisodeSteps: 500,
  rewardThreshold: 475,
  snapshots: true,
};

/** State: cart position (m), its speed (m/s), pole angle (rad, 0 = upright), its speed (rad/s). */
export class CartPole extends ArrayEnvironment {
  private readonly x: Float64Array;
  private readonly xDot: Float64Array;
  private readonly theta: Float64Array;
  private readonly thetaDot: Float64Array;

  constructor(environmentSpec: EnvironmentSpec, count: number) {
    super(environmentSpec, count, 4);
    this.x = this.state[0]!;
    this.xDot = this.state[1]!;
    this.theta = this.state[2]!;
    this.thetaDot = this.state[3]!;
  }

  protected begin(i: number, random: Random): void {
    this.x[i] = random.between(-0.05, 0.05);
    this.xDot[i] = random.between(-0.05, 0.05);
    this.theta[i] = random.between(-0.05, 0.05);
    this.thetaDot[i] = random.between(-0.05, 0.05);
  }

  /** Action 1 pushes right, 0 left. The step that ends the episode is rewarded like every other. */
  advance(i: number, actions: ActionArray): void {
    const xDot = this.xDot[i]!;
    const thetaDot = this.thetaDot[i]!;
    const sin = Math.sin(this.theta[i]!);
    const cos = Math.cos(this.theta[i]!);
    const force = actions[i] === 1 ? FORCE : -FORCE;

    const temp = (force + POLE_MASS_LENGTH * (thetaDot * thetaDot) * sin) / TOTAL_MASS;
    const thetaAcceleration =
      (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4.0 / 3.0 - (POLE_MASS * (cos * cos)) / TOTAL_MASS));
    const xAcceleration = temp - (POLE_MASS_LENGTH * thetaAcceleration * cos) / TOTAL_MASS;

    const x = this.x[i]! + TAU * xDot;
    const theta = this.theta[i]! + TAU * thetaDot;
    this.x[i] = x;
    this.xDot[i] = xDot + TAU * xAcceleration;
    this.theta[i] = theta;
    this.thetaDot[i] = thetaDot + TAU * thetaAcceleration;

    this.rewards[i] = 1;
    this.terminated[i] = x < -MAX_X || x > MAX_X || theta < -MAX_THETA || theta > MAX_THETA ? 1 : 0;
  }

  observe(i: number, out: Float32Array, at: number): void {
    out[at] = this.x[i]!;
    out[at + 1] = this.xDot[i]!;
    out[at + 2] = this.theta[i]!;
    out[at + 3] = this.thetaDot[i]!;
  }
}

export const cartPole: EnvironmentDefinition = {
  id: spec.id,
  params: z.strictObject({}),
  spec: () => spec,
  vectorize: (environmentSpec, _params, count) => new CartPole(environmentSpec, count),
};
