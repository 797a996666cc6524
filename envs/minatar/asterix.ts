/**
 * MinAtar/Asterix-v1: walk about a board on which enemies and treasure come in from the sides, one a row at most.
 * Treasure pays 1, an enemy ends the game. Both come sooner and move faster as the game goes on. Rules after the
 * paper, details in board.ts.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import type { Random } from "../../core/random.js";
import { clamp, defineGame, MinAtarGame, onBoard, rampingParams, SIZE, type Fill } from "./board.js";

const PLAYER = 0;
const ENEMY = 1;
const TRAIL = 2;
const TREASURE = 3;
const LEFT = 1;
const UP = 2;
const RIGHT = 3;
const DOWN = 4;
/** Lanes 0 … 7 are rows 1 … 8. */
const LANES = SIZE - 2;
const NOTHING = 0;
const RAMP_STEPS = 100;
const SPAWN_STEPS = 10;
const MOVE_STEPS = 5;

const params = z.strictObject(rampingParams);
type AsterixParams = z.output<typeof params>;

/** State: the player's place, timers and their intervals in steps, and of each lane what is there, where, and whither. */
export class Asterix extends MinAtarGame {
  private readonly x = this.column();
  private readonly y = this.column();
  private readonly spawnTimer = this.column();
  private readonly spawnSteps = this.column();
  private readonly moveTimer = this.column();
  private readonly moveSteps = this.column();
  private readonly rampTimer = this.column();
  private readonly ramps = this.column();
  /** NOTHING, or the channel ENEMY or TREASURE. */
  private readonly kind = this.columns(LANES);
  private readonly place = this.columns(LANES);
  private readonly direction = this.columns(LANES);

  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly params: AsterixParams,
  ) {
    super(spec, count, 8 + 3 * LANES, params.stickyActions);
  }

  protected start(i: number): void {
    this.x[i] = 5;
    this.y[i] = 5;
    this.spawnTimer[i] = this.spawnSteps[i] = SPAWN_STEPS;
    this.moveTimer[i] = this.moveSteps[i] = MOVE_STEPS;
    this.rampTimer[i] = RAMP_STEPS;
    this.ramps[i] = 0;
    for (const kind of this.kind) kind[i] = NOTHING;
  }

  /** Actions 1 left, 2 up, 3 right, 4 down, 0 none. */
  protected play(i: number, action: number, random: Random): void {
    if (this.spawnTimer[i] === 0) {
      this.spawn(i, random);
      this.spawnTimer[i] = this.spawnSteps[i]!;
    }
    if (action === LEFT) this.x[i] = clamp(this.x[i]! - 1);
    if (action === RIGHT) this.x[i] = clamp(this.x[i]! + 1);
    if (action === UP) this.y[i] = clamp(this.y[i]! - 1, 1, LANES);
    if (action === DOWN) this.y[i] = clamp(this.y[i]! + 1, 1, LANES);

    this.touch(i);
    if (this.moveTimer[i] === 0) {
      this.moveTimer[i] = this.moveSteps[i]!;
      this.move(i);
      this.touch(i);
    }
    this.spawnTimer[i]!--;
    this.moveTimer[i]!--;
    if (this.params.ramping) this.ramp(i);
  }

  protected draw(i: number, fill: Fill): void {
    fill(this.x[i]!, this.y[i]!, PLAYER);
    for (let lane = 0; lane < LANES; lane++) {
      const kind = this.kind[lane]![i]!;
      if (kind === NOTHING) continue;
      const x = this.place[lane]![i]!;
      const behind = x - this.direction[lane]![i]!;
      fill(x, lane + 1, kind);
      if (onBoard(behind)) fill(behind, lane + 1, TRAIL);
    }
  }

  /** Something enters a free lane; nothing where none is free. */
  private spawn(i: number, random: Random): void {
    const fromLeft = random.uniform() < 1 / 2;
    const kind = random.uniform() < 1 / 3 ? TREASURE : ENEMY;
    const free: number[] = [];
    for (let lane = 0; lane < LANES; lane++) if (this.kind[lane]![i] === NOTHING) free.push(lane);
    if (free.length === 0) return;
    const lane = free[random.integer(free.length)]!;
    this.kind[lane]![i] = kind;
    this.place[lane]![i] = fromLeft ? 0 : SIZE - 1;
    this.direction[lane]![i] = fromLeft ? 1 : -1;
  }

  private move(i: number): void {
    for (let lane = 0; lane < LANES; lane++) {
      if (this.kind[lane]![i] === NOTHING) continue;
      const x = this.place[lane]![i]! + this.direction[lane]![i]!;
      this.place[lane]![i] = x;
      if (!onBoard(x)) this.kind[lane]![i] = NOTHING;
    }
  }

  private touch(i: number): void {
    const lane = this.y[i]! - 1;
    const kind = this.kind[lane]![i]!;
    if (kind === NOTHING || this.place[lane]![i] !== this.x[i]) return;
    if (kind === ENEMY) {
      this.terminated[i] = 1;
    } else {
      this.kind[lane]![i] = NOTHING;
      this.rewards[i]! += 1;
    }
  }

  private ramp(i: number): void {
    if (this.spawnSteps[i] === 1 && this.moveSteps[i] === 1) return;
    if (this.rampTimer[i]! >= 0) {
      this.rampTimer[i]!--;
      return;
    }
    if (this.moveSteps[i]! > 1 && this.ramps[i]! % 2 === 1) this.moveSteps[i]!--;
    if (this.spawnSteps[i]! > 1) this.spawnSteps[i]!--;
    this.ramps[i]!++;
    this.rampTimer[i] = RAMP_STEPS;
  }
}

export const asterix: EnvironmentDefinition<AsterixParams> = defineGame(
  "Asterix",
  4,
  5,
  params,
  (spec, gameParams, count) => new Asterix(spec, count, gameParams),
);
