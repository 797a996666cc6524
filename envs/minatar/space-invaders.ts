/**
 * MinAtar/SpaceInvaders-v1: shoot a block of aliens that comes down step by step, 1 point each; the one nearest to the
 * player shoots back. Few aliens move fast; a new block follows the last one and moves faster. It ends when an alien
 * or its shot meets the player, or aliens reach the ground at an edge. Rules after the paper, details in board.ts; only
 * sticky actions are random.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { clamp, defineGame, MinAtarGame, onBoard, rampingParams, SIZE, type Fill } from "./board.js";

const CANNON = 0;
const ALIEN = 1;
const ALIEN_LEFT = 2;
const ALIEN_RIGHT = 3;
const SHOT = 4;
const ALIEN_SHOT = 5;
const LEFT = 1;
const RIGHT = 2;
const FIRE = 3;
const BOTTOM = SIZE - 1;
const COOL_DOWN_STEPS = 5;
const ALIEN_SHOT_STEPS = 10;
const MOVE_STEPS = 12;
const LEAST_MOVE_STEPS = 6;
/** A new block: columns 2 … 7 of rows 0 … 3. */
const BLOCK_ROW = 0b0011111100;
const BLOCK_ROWS = 4;

const params = z.strictObject(rampingParams);
type SpaceInvadersParams = z.output<typeof params>;

/** rows[y][i]: bit x = cell (x, y) of instance i is taken. */
type Layer = readonly Float64Array[];

function has(layer: Layer, i: number, x: number, y: number): boolean {
  return ((layer[y]![i]! >> x) & 1) === 1;
}

function countOf(layer: Layer, i: number): number {
  let count = 0;
  for (const row of layer) for (let bits = row[i]!; bits !== 0; bits &= bits - 1) count++;
  return count;
}

/** Moves every row down by one; what was in the last one comes in on top. */
function rollDown(layer: Layer, i: number): void {
  const last = layer[BOTTOM]![i]!;
  for (let y = BOTTOM; y > 0; y--) layer[y]![i] = layer[y - 1]![i]!;
  layer[0]![i] = last;
}

function rollUp(layer: Layer, i: number): void {
  const first = layer[0]![i]!;
  for (let y = 0; y < BOTTOM; y++) layer[y]![i] = layer[y + 1]![i]!;
  layer[BOTTOM]![i] = first;
}

/** State: the cannon's column, timers, the aliens' direction and pace, and three layers of bits: aliens, both sides' shots. */
export class SpaceInvaders extends MinAtarGame {
  private readonly x = this.column();
  private readonly direction = this.column();
  private readonly moveSteps = this.column();
  private readonly moveTimer = this.column();
  private readonly alienShotTimer = this.column();
  private readonly shotTimer = this.column();
  private readonly aliens: Layer = this.columns(SIZE);
  private readonly shots: Layer = this.columns(SIZE);
  private readonly alienShots: Layer = this.columns(SIZE);

  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly params: SpaceInvadersParams,
  ) {
    super(spec, count, 6 + 3 * SIZE, params.stickyActions);
  }

  protected start(i: number): void {
    this.x[i] = 5;
    this.direction[i] = -1;
    this.moveSteps[i] = this.moveTimer[i] = MOVE_STEPS;
    this.alienShotTimer[i] = ALIEN_SHOT_STEPS;
    this.shotTimer[i] = 0;
    for (const layer of [this.aliens, this.shots, this.alienShots]) for (const row of layer) row[i] = 0;
    this.addBlock(i);
  }

  /** Actions 1 left, 2 right, 3 shoots, 0 none. */
  protected play(i: number, action: number): void {
    if (action === FIRE && this.shotTimer[i] === 0) {
      this.shots[BOTTOM]![i]! |= 1 << this.x[i]!;
      this.shotTimer[i] = COOL_DOWN_STEPS;
    }
    if (action === LEFT) this.x[i] = clamp(this.x[i]! - 1);
    if (action === RIGHT) this.x[i] = clamp(this.x[i]! + 1);

    this.shots[0]![i] = 0;
    rollUp(this.shots, i);
    this.alienShots[BOTTOM]![i] = 0;
    rollDown(this.alienShots, i);
    if (this.isAtPlayer(this.alienShots, i) || this.isAtPlayer(this.aliens, i)) this.terminated[i] = 1;
    if (this.moveTimer[i] === 0) this.moveAliens(i);
    if (this.alienShotTimer[i] === 0) {
      this.alienShotTimer[i] = ALIEN_SHOT_STEPS;
      this.shootBack(i);
    }
    this.strike(i);

    if (this.shotTimer[i]! > 0) this.shotTimer[i]!--;
    this.moveTimer[i]!--;
    this.alienShotTimer[i]!--;
    if (countOf(this.aliens, i) === 0) {
      if (this.params.ramping && this.moveSteps[i]! > LEAST_MOVE_STEPS) this.moveSteps[i]!--;
      this.addBlock(i);
    }
  }

  protected draw(i: number, fill: Fill): void {
    const headed = this.direction[i]! < 0 ? ALIEN_LEFT : ALIEN_RIGHT;
    fill(this.x[i]!, BOTTOM, CANNON);
    for (let y = 0; y < SIZE; y++) {
      for (let x = 0; x < SIZE; x++) {
        if (has(this.aliens, i, x, y)) {
          fill(x, y, ALIEN);
          fill(x, y, headed);
        }
        if (has(this.shots, i, x, y)) fill(x, y, SHOT);
        if (has(this.alienShots, i, x, y)) fill(x, y, ALIEN_SHOT);
      }
    }
  }

  private addBlock(i: number): void {
    for (let y = 0; y < BLOCK_ROWS; y++) this.aliens[y]![i] = BLOCK_ROW;
  }

  private isAtPlayer(layer: Layer, i: number): boolean {
    return has(layer, i, this.x[i]!, BOTTOM);
  }

  /** One cell to the side; at the edge one cell down instead, and the other way from then on. */
  private moveAliens(i: number): void {
    const { aliens } = this;
    this.moveTimer[i] = Math.min(countOf(aliens, i), this.moveSteps[i]!);
    const edge = this.direction[i]! < 0 ? 0 : SIZE - 1;
    if (aliens.some((_, y) => has(aliens, i, edge, y))) {
      this.direction[i]! *= -1;
      if (aliens[BOTTOM]![i] !== 0) this.terminated[i] = 1;
      rollDown(aliens, i);
    } else {
      for (const row of aliens) row[i] = this.direction[i]! < 0 ? row[i]! >> 1 : row[i]! << 1;
    }
    if (this.isAtPlayer(aliens, i)) this.terminated[i] = 1;
  }

  /** The lowest alien of the column nearest to the player's, of two equally near ones the left, shoots. */
  private shootBack(i: number): void {
    const { aliens } = this;
    for (let distance = 0; distance < SIZE; distance++) {
      for (const x of [this.x[i]! - distance, this.x[i]! + distance].filter(onBoard)) {
        const y = aliens.findLastIndex((_, row) => has(aliens, i, x, row));
        if (y < 0) continue;
        this.alienShots[y]![i]! |= 1 << x;
        return;
      }
    }
  }

  /** Removes aliens with the shots that struck them. */
  private strike(i: number): void {
    for (let y = 0; y < SIZE; y++) {
      const struck = this.aliens[y]![i]! & this.shots[y]![i]!;
      this.aliens[y]![i]! ^= struck;
      this.shots[y]![i]! ^= struck;
      for (let bits = struck; bits !== 0; bits &= bits - 1) this.rewards[i]!++;
    }
  }
}

export const spaceInvaders: EnvironmentDefinition<SpaceInvadersParams> = defineGame(
  "SpaceInvaders",
  6,
  4,
  params,
  (spec, gameParams, count) => new SpaceInvaders(spec, count, gameParams),
);
