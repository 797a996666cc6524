/**
 * MinAtar/Breakout-v1: keep a ball in play with a paddle and break the bricks above, 1 point each. The ball moves
 * along diagonals; three new rows of bricks come once all are broken and the ball is down again. It ends when the ball
 * passes the paddle. Rules after the paper, details in board.ts; this game does not become harder.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import type { Random } from "../../core/random.js";
import { clamp, defineGame, MinAtarGame, onBoard, SIZE, stickyParams, type Fill } from "./board.js";

const PADDLE = 0;
const BALL = 1;
const TRAIL = 2;
const BRICK = 3;
const LEFT = 1;
const RIGHT = 2;
/** Bricks lie in rows FIRST_ROW … FIRST_ROW + ROWS − 1. */
const FIRST_ROW = 1;
const ROWS = 3;
const BOTTOM = SIZE - 1;
const FULL_ROW = 2 ** SIZE - 1;

const params = z.strictObject(stickyParams);

/** State: paddle, ball with its direction and last place, whether it struck a brick just now, bricks as bits of rows. */
export class Breakout extends MinAtarGame {
  private readonly paddle = this.column();
  private readonly x = this.column();
  private readonly y = this.column();
  private readonly dx = this.column();
  private readonly dy = this.column();
  private readonly lastX = this.column();
  private readonly lastY = this.column();
  private readonly struck = this.column();
  /** bricks[r][i]: bit c = there is one in column c of row FIRST_ROW + r. */
  private readonly bricks = this.columns(ROWS);

  constructor(spec: EnvironmentSpec, count: number, stickyActions: number) {
    super(spec, count, 8 + ROWS, stickyActions);
  }

  /** The ball comes from one of the upper corners. */
  protected start(i: number, random: Random): void {
    const fromRight = random.integer(2) === 1;
    this.paddle[i] = 4;
    this.x[i] = this.lastX[i] = fromRight ? SIZE - 1 : 0;
    this.y[i] = this.lastY[i] = 3;
    this.dx[i] = fromRight ? -1 : 1;
    this.dy[i] = 1;
    this.struck[i] = 0;
    for (const row of this.bricks) row[i] = FULL_ROW;
  }

  /** Action 1 moves the paddle left, 2 right, 0 not. */
  protected play(i: number, action: number): void {
    if (action === LEFT) this.paddle[i] = clamp(this.paddle[i]! - 1);
    if (action === RIGHT) this.paddle[i] = clamp(this.paddle[i]! + 1);
    const x = this.x[i]!;
    const y = this.y[i]!;
    this.lastX[i] = x;
    this.lastY[i] = y;

    let nextX = x + this.dx[i]!;
    let nextY = y + this.dy[i]!;
    if (!onBoard(nextX)) {
      nextX = clamp(nextX);
      this.dx[i]! *= -1;
    }
    const hits = this.hasBrick(i, nextX, nextY);
    if (nextY < 0) {
      nextY = 0;
      this.dy[i]! *= -1;
    } else if (hits && this.struck[i] === 0) {
      this.breakBrick(i, nextX, nextY);
      nextY = y;
      this.dy[i]! *= -1;
    } else if (nextY === BOTTOM) {
      this.refill(i);
      const paddle = this.paddle[i]!;
      if (paddle === x || paddle === nextX) {
        // Met under its last place the ball is thrown upwards; met at its edge, back to where it came from.
        if (paddle !== x) this.dx[i]! *= -1;
        this.dy[i]! *= -1;
        nextY = y;
      } else {
        this.terminated[i] = 1;
      }
    }
    // A ball that has just broken a brick passes through the next ones until it is in the open.
    this.struck[i] = hits ? 1 : 0;
    this.x[i] = nextX;
    this.y[i] = nextY;
  }

  protected draw(i: number, fill: Fill): void {
    fill(this.x[i]!, this.y[i]!, BALL);
    fill(this.paddle[i]!, BOTTOM, PADDLE);
    fill(this.lastX[i]!, this.lastY[i]!, TRAIL);
    for (let r = 0; r < ROWS; r++) {
      for (let x = 0; x < SIZE; x++) if (this.hasBrick(i, x, FIRST_ROW + r)) fill(x, FIRST_ROW + r, BRICK);
    }
  }

  private hasBrick(i: number, x: number, y: number): boolean {
    const row = this.bricks[y - FIRST_ROW];
    return row !== undefined && ((row[i]! >> x) & 1) === 1;
  }

  private breakBrick(i: number, x: number, y: number): void {
    this.bricks[y - FIRST_ROW]![i]! -= 1 << x;
    this.rewards[i] = 1;
  }

  private refill(i: number): void {
    if (this.bricks.every((row) => row[i] === 0)) for (const row of this.bricks) row[i] = FULL_ROW;
  }
}

export const breakout: EnvironmentDefinition<z.output<typeof params>> = defineGame(
  "Breakout",
  4,
  3,
  params,
  (spec, { stickyActions }, count) => new Breakout(spec, count, stickyActions),
);
