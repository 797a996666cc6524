/**
 * KeyDoor-v1 and KeyDoorLong-v1: rooms in a row, a locked door between each and the next. Walk onto the key of the
 * first room, with it into its door, which opens, on to the next key, … and to the goal in the last room. Reward 1 for the goal, else 0: a
 * task of sparse reward with a known length. Layouts are drawn until the shortest solution has exactly `steps` steps,
 * so that all are equally long; with `layoutSeed: null` the seed of the episode, a group's task, is the layout.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";

const AGENT = 0;
const WALL = 1;
const KEY = 2;
const DOOR = 3;
const GOAL = 4;
const CHANNELS = 5;
/** [row, column] of actions 0 up, 1 right, 2 down, 3 left. */
const MOVES = [
  [-1, 0],
  [0, 1],
  [1, 0],
  [0, -1],
] as const;
/** Layouts drawn to see whether there are some of the wanted length at all … */
const TRIAL_DRAWS = 1000;
/** … and at most for an episode. */
const MOST_DRAWS = 1_000_000;

type Cell = readonly [row: number, column: number];

/** Where things are; key r and door r, given by its row, belong to room r and the wall behind it. */
interface Layout {
  readonly agent: Cell;
  readonly goal: Cell;
  readonly keys: readonly Cell[];
  readonly doors: readonly number[];
}

interface Defaults {
  readonly size: number;
  readonly rooms: number;
  readonly steps: number;
  readonly maxSteps: number;
}

function paramsOf({ size, rooms, steps, maxSteps }: Defaults) {
  return z.strictObject({
    size: z.int().min(4).max(32).default(size).describe("Rows and columns of the grid, walls included"),
    rooms: z.int().min(2).max(16).default(rooms).describe("Rooms in a row; at most half of size"),
    steps: z.int().min(6).max(1000).default(steps).describe("Steps of the shortest solution"),
    maxSteps: z.int().min(1).max(1_000_000).default(maxSteps).describe("Steps at which an episode is cut"),
    layoutSeed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .nullable()
      .default(0)
      .describe("Seed of the one layout of all episodes; null = each episode draws its own"),
  });
}
type KeyDoorParams = z.output<ReturnType<typeof paramsOf>>;

/** Columns of the walls, left to right. */
function wallsOf({ size, rooms }: KeyDoorParams): readonly number[] {
  return Array.from({ length: rooms - 1 }, (_, r) => Math.floor(((r + 1) * size) / rooms));
}

function distance(a: Cell, b: Cell): number {
  return Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
}

/** Steps of the shortest solution. */
function lengthOf({ agent, goal, keys, doors }: Layout, walls: readonly number[]): number {
  let place = agent;
  let steps = 0;
  keys.forEach((key, r) => {
    const behind: Cell = [doors[r]!, walls[r]! + 1];
    steps += distance(place, key) + distance(key, behind);
    place = behind;
  });
  return steps + distance(place, goal);
}

/** Any layout: each thing in any cell of its room, each door in any row. */
function anyLayout({ size, rooms }: KeyDoorParams, walls: readonly number[], random: Random): Layout {
  const cellIn = (room: number): Cell => {
    const first = room === 0 ? 0 : walls[room - 1]! + 1;
    const end = walls[room] ?? size;
    return [random.integer(size), first + random.integer(end - first)];
  };
  return {
    agent: cellIn(0),
    goal: cellIn(rooms - 1),
    keys: walls.map((_, room) => cellIn(room)),
    doors: walls.map(() => random.integer(size)),
  };
}

/** One of those with a solution of `steps` steps, each as likely as the others; null after so many draws without one. */
function drawLayout(params: KeyDoorParams, random: Random, draws: number): Layout | null {
  const walls = wallsOf(params);
  for (let draw = 0; draw < draws; draw++) {
    const layout = anyLayout(params, walls, random);
    // A key is picked up by walking onto it, so that none lies where the agent begins.
    const hasKeyToFind = distance(layout.agent, layout.keys[0]!) > 0;
    if (hasKeyToFind && lengthOf(layout, walls) === params.steps) return layout;
  }
  return null;
}

/** Throws CONFIG_INVALID where such layouts are too rare to be drawn for every episode. */
function checkLayouts(params: KeyDoorParams): void {
  if (drawLayout(params, new Random(0), TRIAL_DRAWS) !== null) return;
  const { size, rooms, steps } = params;
  throw new SkeinError(
    "CONFIG_INVALID",
    `environment.params.steps: of ${TRIAL_DRAWS} layouts of size ${size} with ${rooms} rooms none has a shortest solution of ${steps} steps; choose another number of steps, another size or another number of rooms`,
  );
}

/**
 * State: the agent's row and column, doors opened, whether it carries a key; then the layout: the goal's row and
 * column, and of each room but the last its key's row and column and its door's row.
 */
export class KeyDoor extends ArrayEnvironment {
  private readonly row: Float64Array;
  private readonly column: Float64Array;
  private readonly opened: Float64Array;
  private readonly carries: Float64Array;
  private readonly goalRow: Float64Array;
  private readonly goalColumn: Float64Array;
  /** 0 = the action left the state as it was */
  private readonly actionValid: Float64Array;
  private readonly walls: readonly number[];
  private readonly fixed: Layout | null;

  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly params: KeyDoorParams,
  ) {
    super(spec, count, 6 + 3 * (params.rooms - 1));
    this.row = this.state[0]!;
    this.column = this.state[1]!;
    this.opened = this.state[2]!;
    this.carries = this.state[3]!;
    this.goalRow = this.state[4]!;
    this.goalColumn = this.state[5]!;
    this.actionValid = this.stepExtras["actionValid"]!;
    this.walls = wallsOf(params);
    this.fixed = params.layoutSeed === null ? null : this.layout(new Random(params.layoutSeed));
  }

  protected begin(i: number, random: Random): void {
    const { agent, goal, keys, doors } = this.fixed ?? this.layout(random);
    const layout = keys.flatMap(([row, column], r) => [row, column, doors[r]!]);
    [...agent, 0, 0, ...goal, ...layout].forEach((value, k) => (this.state[k]![i] = value));
  }

  /** Actions 0 up, 1 right, 2 down, 3 left. A move into a wall, or into a door without its key, changes nothing. */
  advance(i: number, actions: ActionArray): void {
    const [down, right] = MOVES[actions[i]!]!;
    const moved = this.move(i, this.row[i]! + down, this.column[i]! + right);
    this.actionValid[i] = moved ? 1 : 0;
    const arrived = this.row[i] === this.goalRow[i] && this.column[i] === this.goalColumn[i];
    this.rewards[i] = arrived ? 1 : 0;
    this.terminated[i] = arrived ? 1 : 0;
  }

  /** A closed door and the key of a room are shown until they are opened and picked up. */
  observe(i: number, out: Float32Array, at: number): void {
    const { size } = this.params;
    const fill = (row: number, column: number, channel: number): void => {
      out[at + (row * size + column) * CHANNELS + channel] = 1;
    };
    out.fill(0, at, at + size * size * CHANNELS);
    fill(this.row[i]!, this.column[i]!, AGENT);
    fill(this.goalRow[i]!, this.goalColumn[i]!, GOAL);
    this.walls.forEach((column, r) => {
      const [keyRow, keyColumn, door] = this.room(i, r);
      for (let row = 0; row < size; row++) if (row !== door) fill(row, column, WALL);
      if (r >= this.opened[i]!) fill(door, column, DOOR);
      if (r >= this.opened[i]! + this.carries[i]!) fill(keyRow, keyColumn, KEY);
    });
  }

  private layout(random: Random): Layout {
    return drawLayout(this.params, random, MOST_DRAWS)!;
  }

  /** Row and column of the key and row of the door of room r. */
  private room(i: number, r: number): [keyRow: number, keyColumn: number, door: number] {
    const at = 6 + 3 * r;
    return [this.state[at]![i]!, this.state[at + 1]![i]!, this.state[at + 2]![i]!];
  }

  /** False where nothing changes. */
  private move(i: number, row: number, column: number): boolean {
    const { size } = this.params;
    if (row < 0 || row >= size || column < 0 || column >= size) return false;
    const room = this.opened[i]!;
    const r = this.walls.indexOf(column);
    if (r >= 0) {
      const locked = r === room && this.carries[i] === 0;
      if (locked || row !== this.room(i, r)[2]) return false;
      if (r === room) {
        this.carries[i] = 0;
        this.opened[i] = room + 1;
      }
    }
    this.row[i] = row;
    this.column[i] = column;
    if (room === this.walls.length) return true;
    const [keyRow, keyColumn] = this.room(i, room);
    if (row === keyRow && column === keyColumn) this.carries[i] = 1;
    return true;
  }
}

function define(id: string, defaults: Defaults): EnvironmentDefinition<KeyDoorParams> {
  return {
    id,
    params: paramsOf(defaults).refine(({ size, rooms }) => rooms <= size / 2, {
      path: ["rooms"],
      message: "must be at most half of size",
    }),
    spec: (params) => {
      checkLayouts(params);
      const { size, maxSteps } = params;
      return {
        id,
        observationSpace: box([size, size, CHANNELS], 0, 1),
        actionSpace: discrete(MOVES.length),
        maxEpisodeSteps: maxSteps,
        rewardThreshold: 0.95,
        snapshots: true,
        anchorObservations: true,
        stepExtras: ["actionValid"],
      };
    },
    vectorize: (spec, params, count) => new KeyDoor(spec, count, params),
  };
}

export const keyDoor = define("KeyDoor-v1", { size: 6, rooms: 2, steps: 15, maxSteps: 60 });
export const keyDoorLong = define("KeyDoorLong-v1", { size: 8, rooms: 3, steps: 30, maxSteps: 240 });
