/**
 * MinAtar/Seaquest-v1: a submarine shoots fish and other submarines, 1 point each, takes divers on board and brings
 * them to the surface before its oxygen is used up. Surfacing with six divers pays 1 point for each full tenth of the
 * oxygen; surfacing with fewer costs one, with none it ends the game. Every time the submarine surfaces, enemies come
 * sooner and move faster. It ends as well when an enemy or its shot meets the player or the oxygen is used up. Rules
 * after the paper, details in board.ts; like MinAtar 1.0.15 it takes one diver more off than there were after a full
 * load, so that the next ones count from −1.
 */
import { z } from "zod";
import type { EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import type { Random } from "../../core/random.js";
import { clamp, defineGame, MinAtarGame, onBoard, rampingParams, SIZE, type Fill } from "./board.js";
import { DIRECTION, MOVE_TIMER, Shoal, shoalColumns, SHOT_TIMER, X, Y } from "./shoal.js";

const PLAYER_FRONT = 0;
const PLAYER_BACK = 1;
const TORPEDO = 2;
const TRAIL = 3;
const SHOT = 4;
const FISH = 5;
const ENEMY = 6;
const OXYGEN_GAUGE = 7;
const DIVER_GAUGE = 8;
const DIVER = 9;
const LEFT = 1;
const UP = 2;
const RIGHT = 3;
const DOWN = 4;
const FIRE = 5;
/** Row of the gauges, below the sea. */
const BOTTOM = SIZE - 1;
const OXYGEN = 200;
const FULL_LOAD = 6;
const SPAWN_STEPS = 20;
const DIVER_SPAWN_STEPS = 30;
const MOVE_STEPS = 5;
const LEAST_MOVE_STEPS = 2;
const DIVER_MOVE_STEPS = 5;
const COOL_DOWN_STEPS = 5;
const SHOT_STEPS = 10;
/**
 * More than there can be at once. Torpedoes leave within 10 steps, one in 5 steps; divers within 60, one in 30. At
 * most one enemy a step comes and, when they come that fast, leaves within 30 steps with two shots fired.
 */
const FEW = 4;
const MANY = 32;

const params = z.strictObject(rampingParams);
type SeaquestParams = z.output<typeof params>;

/**
 * State: the player's place, direction, oxygen, divers on board and timers; how soon enemies come and move; lists of
 * all else that swims.
 */
export class Seaquest extends MinAtarGame {
  private readonly x = this.column();
  private readonly y = this.column();
  private readonly direction = this.column();
  private readonly oxygen = this.column();
  private readonly aboard = this.column();
  private readonly surfaced = this.column();
  private readonly shotTimer = this.column();
  private readonly spawnTimer = this.column();
  private readonly diverTimer = this.column();
  private readonly spawnSteps = this.column();
  private readonly moveSteps = this.column();
  private readonly ramps = this.column();
  private readonly torpedoes = this.shoal(3, FEW);
  private readonly divers = this.shoal(4, FEW);
  private readonly enemies = this.shoal(5, MANY);
  private readonly fish = this.shoal(4, MANY);
  private readonly shots = this.shoal(3, MANY);

  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly params: SeaquestParams,
  ) {
    const lists = shoalColumns(7, FEW) + shoalColumns(12, MANY) + 3;
    super(spec, count, 12 + lists, params.stickyActions);
  }

  protected start(i: number): void {
    this.x[i] = 5;
    this.y[i] = 0;
    this.direction[i] = -1;
    this.oxygen[i] = OXYGEN;
    this.aboard[i] = 0;
    this.surfaced[i] = 1;
    this.shotTimer[i] = 0;
    this.spawnTimer[i] = this.spawnSteps[i] = SPAWN_STEPS;
    this.diverTimer[i] = DIVER_SPAWN_STEPS;
    this.moveSteps[i] = MOVE_STEPS;
    this.ramps[i] = 0;
    for (const list of [this.torpedoes, this.divers, this.enemies, this.fish, this.shots]) list.clear(i);
  }

  /** Actions 1 left, 2 up, 3 right, 4 down, 5 shoots, 0 none. */
  protected play(i: number, action: number, random: Random): void {
    this.spawn(i, random);
    this.steer(i, action);
    this.moveTorpedoes(i);
    this.moveDivers(i);
    this.moveEnemies(i);
    this.moveShots(i);
    for (let k = this.fish.count(i) - 1; k >= 0; k--) this.approach(i, this.fish, k);
    for (const timer of [this.spawnTimer, this.diverTimer, this.shotTimer]) if (timer[i]! > 0) timer[i]!--;
    this.breathe(i);
  }

  protected draw(i: number, fill: Fill): void {
    fill(this.x[i]!, this.y[i]!, PLAYER_FRONT);
    fill(this.x[i]! - this.direction[i]!, this.y[i]!, PLAYER_BACK);
    for (let x = 0; x < this.tenths(i); x++) fill(x, BOTTOM, OXYGEN_GAUGE);
    for (let diver = 1; diver <= this.aboard[i]!; diver++) fill(BOTTOM - diver, BOTTOM, DIVER_GAUGE);
    const drawAll = (list: Shoal, channel: number, hasTrail: boolean): void => {
      for (let k = 0; k < list.count(i); k++) {
        const [x, y] = [list.get(i, k, X), list.get(i, k, Y)];
        const behind = x - list.get(i, k, DIRECTION);
        fill(x, y, channel);
        if (hasTrail && onBoard(behind)) fill(behind, y, TRAIL);
      }
    };
    drawAll(this.torpedoes, TORPEDO, false);
    drawAll(this.shots, SHOT, false);
    drawAll(this.fish, FISH, true);
    drawAll(this.enemies, ENEMY, true);
    drawAll(this.divers, DIVER, true);
  }

  private shoal(fields: number, capacity: number): Shoal {
    return new Shoal(this.columns(shoalColumns(fields, capacity)), fields);
  }

  /** Tenths of the oxygen that are left, rounded down. */
  private tenths(i: number): number {
    return Math.floor((Math.max(0, this.oxygen[i]!) * 10) / OXYGEN);
  }

  private spawn(i: number, random: Random): void {
    if (this.spawnTimer[i] === 0) {
      this.spawnEnemy(i, random);
      this.spawnTimer[i] = this.spawnSteps[i]!;
    }
    if (this.diverTimer[i] === 0) {
      const direction = random.uniform() < 1 / 2 ? 1 : -1;
      const y = 1 + random.integer(SIZE - 2);
      this.divers.add(i, direction > 0 ? 0 : SIZE - 1, y, direction, DIVER_MOVE_STEPS);
      this.diverTimer[i] = DIVER_SPAWN_STEPS;
    }
  }

  /** No enemy comes towards another one in the same row. */
  private spawnEnemy(i: number, random: Random): void {
    const direction = random.uniform() < 1 / 2 ? 1 : -1;
    const isSubmarine = random.uniform() < 1 / 3;
    const y = 1 + random.integer(SIZE - 2);
    for (const list of [this.enemies, this.fish]) {
      for (let k = 0; k < list.count(i); k++) {
        if (list.get(i, k, Y) === y && list.get(i, k, DIRECTION) !== direction) return;
      }
    }
    const swimmer = [direction > 0 ? 0 : SIZE - 1, y, direction, this.moveSteps[i]!];
    if (isSubmarine) this.enemies.add(i, ...swimmer, SHOT_STEPS);
    else this.fish.add(i, ...swimmer);
  }

  private steer(i: number, action: number): void {
    if (action === FIRE && this.shotTimer[i] === 0) {
      this.torpedoes.add(i, this.x[i]!, this.y[i]!, this.direction[i]!);
      this.shotTimer[i] = COOL_DOWN_STEPS;
    }
    if (action === LEFT || action === RIGHT) {
      this.direction[i] = action === LEFT ? -1 : 1;
      this.x[i] = clamp(this.x[i]! + this.direction[i]);
    }
    if (action === UP || action === DOWN) {
      this.y[i] = clamp(this.y[i]! + (action === UP ? -1 : 1), 0, BOTTOM - 1);
    }
  }

  private moveTorpedoes(i: number): void {
    for (let k = this.torpedoes.count(i) - 1; k >= 0; k--) {
      if (!this.torpedoes.swim(i, k)) continue;
      const [x, y] = [this.torpedoes.get(i, k, X), this.torpedoes.get(i, k, Y)];
      const target = [this.fish, this.enemies].find((list) => list.find(i, x, y) >= 0);
      if (target !== undefined) this.sink(i, target, target.find(i, x, y), k);
    }
  }

  private moveDivers(i: number): void {
    for (let k = this.divers.count(i) - 1; k >= 0; k--) {
      if (this.rescue(i, k) || !this.divers.isDue(i, k, MOVE_TIMER, DIVER_MOVE_STEPS)) continue;
      if (this.divers.swim(i, k)) this.rescue(i, k);
    }
  }

  /** Submarines shoot from where they are after their move, even those that are sunk in it. */
  private moveEnemies(i: number): void {
    for (let k = this.enemies.count(i) - 1; k >= 0; k--) {
      const shoots = this.enemies.isDue(i, k, SHOT_TIMER, SHOT_STEPS);
      const [y, direction] = [this.enemies.get(i, k, Y), this.enemies.get(i, k, DIRECTION)];
      const x = this.approach(i, this.enemies, k);
      if (shoots) this.shots.add(i, x, y, direction);
    }
  }

  private moveShots(i: number): void {
    for (let k = this.shots.count(i) - 1; k >= 0; k--) {
      if (this.meetsPlayer(i, this.shots, k)) this.terminated[i] = 1;
      if (this.shots.swim(i, k) && this.meetsPlayer(i, this.shots, k)) this.terminated[i] = 1;
    }
  }

  /** An enemy or fish takes its step, if it is due: into the player, a torpedo, or off the board. Its column. */
  private approach(i: number, list: Shoal, k: number): number {
    const x = list.get(i, k, X);
    if (this.meetsPlayer(i, list, k)) this.terminated[i] = 1;
    if (!list.isDue(i, k, MOVE_TIMER, this.moveSteps[i]!)) return x;
    const next = x + list.get(i, k, DIRECTION);
    const y = list.get(i, k, Y);
    if (list.swim(i, k)) {
      const torpedo = this.torpedoes.find(i, next, y);
      if (this.meetsPlayer(i, list, k)) this.terminated[i] = 1;
      else if (torpedo >= 0) this.sink(i, list, k, torpedo);
    }
    return next;
  }

  private sink(i: number, list: Shoal, k: number, torpedo: number): void {
    list.remove(i, k);
    this.torpedoes.remove(i, torpedo);
    this.rewards[i]! += 1;
  }

  private rescue(i: number, k: number): boolean {
    const rescued = this.aboard[i]! < FULL_LOAD && this.meetsPlayer(i, this.divers, k);
    if (rescued) {
      this.divers.remove(i, k);
      this.aboard[i]! += 1;
    }
    return rescued;
  }

  private meetsPlayer(i: number, list: Shoal, k: number): boolean {
    return list.isAt(i, k, this.x[i]!, this.y[i]!);
  }

  private breathe(i: number): void {
    if (this.oxygen[i]! <= 0) this.terminated[i] = 1;
    if (this.y[i]! > 0) {
      this.oxygen[i]! -= 1;
      this.surfaced[i] = 0;
    } else if (this.surfaced[i] === 0) {
      if (this.aboard[i] === 0) this.terminated[i] = 1;
      else this.surface(i);
    }
  }

  private surface(i: number): void {
    this.surfaced[i] = 1;
    if (this.aboard[i] === FULL_LOAD) {
      this.rewards[i]! += this.tenths(i);
      this.aboard[i] = 0;
    }
    this.aboard[i]! -= 1;
    this.oxygen[i] = OXYGEN;
    if (!this.params.ramping || (this.spawnSteps[i] === 1 && this.moveSteps[i] === LEAST_MOVE_STEPS)) return;
    if (this.moveSteps[i]! > LEAST_MOVE_STEPS && this.ramps[i]! % 2 === 1) this.moveSteps[i]!--;
    if (this.spawnSteps[i]! > 1) this.spawnSteps[i]!--;
    this.ramps[i]!++;
  }
}

export const seaquest: EnvironmentDefinition<SeaquestParams> = defineGame(
  "Seaquest",
  10,
  6,
  params,
  (spec, gameParams, count) => new Seaquest(spec, count, gameParams),
);
