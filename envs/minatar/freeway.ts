/**
 * MinAtar/Freeway-v1: cross eight lanes of cars, 1 point each time. A car sends the player back to the bottom; the
 * player moves every third step at most. After a crossing the cars change speed and direction. Rules after the paper,
 * details in board.ts. The game's 2,500 steps are a time limit, which the board does not show: an episode that reaches
 * it is truncated, not terminated.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import type { Random } from "../../core/random.js";
import { clamp, defineGame, MinAtarGame, onBoard, SIZE, stickyParams, type Fill } from "./board.js";

const PLAYER = 0;
const CAR = 1;
/** Channel of the trail of a car that moves every second step; every third is the next, … every sixth. */
const FIRST_TRAIL = 2;
const SPEEDS = 5;
const UP = 1;
const DOWN = 2;
/** Lanes 0 … 7 are rows 1 … 8. */
const LANES = SIZE - 2;
const COLUMN = 4;
const BOTTOM = SIZE - 1;
const PLAYER_STEPS = 3;
const TIME_LIMIT = 2500;

const params = z.strictObject(stickyParams);

function around(x: number): number {
  return onBoard(x) ? x : SIZE - Math.abs(x);
}

/** State: the player's row and steps until they may move; of each car the place, steps until it moves, pause, direction. */
export class Freeway extends MinAtarGame {
  private readonly y = this.column();
  private readonly moveTimer = this.column();
  private readonly place = this.columns(LANES);
  private readonly timer = this.columns(LANES);
  /** Steps that a car rests between two moves, 1 … SPEEDS. */
  private readonly pause = this.columns(LANES);
  private readonly direction = this.columns(LANES);

  constructor(spec: EnvironmentSpec, count: number, stickyActions: number) {
    super(spec, count, 2 + 4 * LANES, stickyActions);
  }

  protected start(i: number, random: Random): void {
    this.drawSpeeds(i, random);
    for (const place of this.place) place[i] = 0;
    this.y[i] = BOTTOM;
    this.moveTimer[i] = PLAYER_STEPS;
  }

  /** Action 1 moves up, 2 down, 0 not. */
  protected play(i: number, action: number, random: Random): void {
    if (this.moveTimer[i]! > 0) {
      this.moveTimer[i]!--;
    } else if (action === UP || action === DOWN) {
      this.y[i] = clamp(this.y[i]! + (action === UP ? -1 : 1));
      this.moveTimer[i] = PLAYER_STEPS - 1;
    }
    if (this.y[i] === 0) {
      this.rewards[i] = 1;
      this.drawSpeeds(i, random);
      this.y[i] = BOTTOM;
    }
    for (let lane = 0; lane < LANES; lane++) this.drive(i, lane);
  }

  protected draw(i: number, fill: Fill): void {
    fill(COLUMN, this.y[i]!, PLAYER);
    for (let lane = 0; lane < LANES; lane++) {
      const x = this.place[lane]![i]!;
      fill(x, lane + 1, CAR);
      fill(around(x - this.direction[lane]![i]!), lane + 1, FIRST_TRAIL + this.pause[lane]![i]! - 1);
    }
  }

  private drawSpeeds(i: number, random: Random): void {
    for (let lane = 0; lane < LANES; lane++) {
      this.pause[lane]![i] = this.timer[lane]![i] = 1 + random.integer(SPEEDS);
    }
    for (const direction of this.direction) direction[i] = random.uniform() < 1 / 2 ? -1 : 1;
  }

  private drive(i: number, lane: number): void {
    this.hit(i, lane);
    if (this.timer[lane]![i]! > 0) {
      this.timer[lane]![i]!--;
      return;
    }
    this.timer[lane]![i] = this.pause[lane]![i]!;
    this.place[lane]![i] = around(this.place[lane]![i]! + this.direction[lane]![i]!);
    this.hit(i, lane);
  }

  private hit(i: number, lane: number): void {
    if (this.place[lane]![i] === COLUMN && this.y[i] === lane + 1) this.y[i] = BOTTOM;
  }
}

export const freeway: EnvironmentDefinition<z.output<typeof params>> = defineGame(
  "Freeway",
  2 + SPEEDS,
  3,
  params,
  (spec, { stickyActions }, count) => new Freeway(spec, count, stickyActions),
  TIME_LIMIT,
);
