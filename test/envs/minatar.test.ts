import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ArrayEnvironment } from "../../core/env/array-environment.js";
import { widthOf } from "../../core/env/spaces.js";
import { Random } from "../../core/random.js";
import { findEnvironment } from "../../envs/index.js";

/** One run of the reference, by test/data/record-minatar.py. */
interface Recorded {
  readonly seed: number;
  readonly sticky: number;
  readonly ramping: boolean;
  /** One digit a step. */
  readonly actions: string;
  /** Sum of all rewards. */
  readonly reward: number;
  /** Six digits each: the first board, and what each step led to; after an end the first board of the next episode. */
  readonly steps: string;
}

const recorded = JSON.parse(
  readFileSync(new URL("../data/minatar.json", import.meta.url), "utf8"),
) as Readonly<Record<string, readonly Recorded[]>>;

const runs = Object.entries(recorded).flatMap(([game, all]) => all.map((run) => ({ game, ...run })));

function make(game: string, params: Readonly<Record<string, unknown>> = {}, count = 1): ArrayEnvironment {
  const definition = findEnvironment(`MinAtar/${game}-v1`);
  const checked = definition.params.parse(params);
  return definition.vectorize(definition.spec(checked), checked, count) as ArrayEnvironment;
}

/** Cells of the first instance's board, [row, column] each. */
function cells(env: ArrayEnvironment, channel: number): number[][] {
  const channels = widthOf(env.spec.observationSpace) / 100;
  return Array.from({ length: 100 }, (_, at) => at)
    .filter((at) => env.observations[at * channels + channel] === 1)
    .map((at) => [Math.floor(at / 10), at % 10]);
}

/** Six digits of the FNV-1a hash of a board, the reward that led to it and whether the game ended. */
function digest(board: Float32Array, reward: number, terminated: number): string {
  let hash = 0x811c9dc5;
  for (const byte of [...board, reward, terminated]) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 8).toString(16).padStart(6, "0");
}

describe.each(runs)("$game, seed $seed", ({ game, seed, sticky, ramping, actions, reward, steps }) => {
  it("does what MinAtar 1.0.15 did, step by step", () => {
    const ramps = game !== "Breakout" && game !== "Freeway";
    const env = make(game, { stickyActions: sticky, ...(ramps ? { ramping } : {}) });
    const expected = steps.match(/.{6}/g)!;
    let at = 0;
    let total = 0;
    const follows = (board: Float32Array, r: number, end: number, what: string): void => {
      if (digest(board, r, end) !== expected[at]) expect.fail(`${what}: another board, reward or end`);
      at++;
    };
    env.reset(Uint32Array.of(seed));
    follows(env.observations, 0, 0, "start");
    [...actions].forEach((action, t) => {
      env.step(Int32Array.of(Number(action)));
      const ended = env.terminated[0] === 1 || env.truncated[0] === 1;
      total += env.rewards[0]!;
      const shown = ended ? env.finalObservations : env.observations;
      follows(shown, env.rewards[0]!, env.terminated[0]!, `step ${t + 1}`);
      if (ended) follows(env.observations, 0, 0, `restart after step ${t + 1}`);
    });
    expect(at).toBe(expected.length);
    expect(total).toBe(reward);
  });
});

describe("MinAtar games", () => {
  it("show boards of 10×10 cells with the channels and the minimal actions of the paper", () => {
    const sizes = Object.keys(recorded).map((game) => {
      const { observationSpace, actionSpace } = make(game).spec;
      return [game, observationSpace.kind === "box" && observationSpace.shape, actionSpace];
    });
    expect(sizes).toEqual([
      ["Breakout", [10, 10, 4], { kind: "discrete", n: 3 }],
      ["Asterix", [10, 10, 4], { kind: "discrete", n: 5 }],
      ["Freeway", [10, 10, 7], { kind: "discrete", n: 3 }],
      ["Seaquest", [10, 10, 10], { kind: "discrete", n: 6 }],
      ["SpaceInvaders", [10, 10, 6], { kind: "discrete", n: 4 }],
    ]);
  });

  it("repeat the last action as often as they are told to", () => {
    const count = 4000;
    const env = make("SpaceInvaders", { stickyActions: 0.25 }, count);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    // The first step goes left, unless it repeats the 0 that an episode begins with.
    env.step(new Int32Array(count).fill(1));
    const cannon = (i: number): number =>
      Array.from({ length: 10 }, (_, x) => x).find((x) => env.observations[i * 600 + (90 + x) * 6] === 1)!;
    const moved = Array.from({ length: count }, (_, i) => cannon(i)).filter((x) => x === 4).length;
    expect(Math.abs(moved - 0.75 * count)).toBeLessThan(5 * Math.sqrt(count * 0.75 * 0.25));
  });

  it("end Freeway at 2,500 steps as a time limit", () => {
    const env = make("Freeway");
    env.reset(Uint32Array.of(1));
    for (let t = 1; t < 2500; t++) env.step(Int32Array.of(0));
    expect([env.truncated[0], env.elapsed[0]]).toEqual([0, 2499]);
    env.step(Int32Array.of(0));
    expect([env.terminated[0], env.truncated[0]]).toEqual([0, 1]);
  });

  it("put up new bricks when Breakout's ball is down and all are broken", () => {
    const env = make("Breakout", { stickyActions: 0 });
    env.reset(Uint32Array.of(1));
    // State: last action, paddle, x, y, dx, dy, last x and y, struck, three rows of bricks.
    const put = [0, 4, 3, 8, 1, 1, 2, 7, 0, 0, 0, 0];
    put.forEach((value, k) => (env.state[k]![0] = value));
    env.step(Int32Array.of(0));
    expect(cells(env, 3)).toHaveLength(30);
    // The paddle stands where the ball comes down beside its last place: it goes back up and to the left.
    expect([env.terminated[0], env.state[4]![0], env.state[5]![0]]).toEqual([0, -1, -1]);
    expect(cells(env, 1)).toEqual([[8, 4]]);
  });

  it("hold all that swims in Seaquest when enemies come as fast as they can", () => {
    const env = make("Seaquest", { stickyActions: 0 });
    env.reset(Uint32Array.of(3));
    const random = new Random(4);
    // spawnSteps and moveSteps are columns 10 and 11; the lists begin with their lengths, in columns 13, 26, 43, …
    const lengths = [13, 26, 43, 204, 333];
    let most = 0;
    for (let t = 0; t < 5000; t++) {
      env.state[10]![0] = 1;
      env.state[11]![0] = 2;
      env.step(Int32Array.of(random.integer(2) * 5));
      const swimming = lengths.map((column) => env.state[column]![0]!);
      expect(swimming[0]).toBeLessThan(4);
      expect(swimming[1]).toBeLessThan(4);
      most = Math.max(most, ...swimming);
    }
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThan(32);
  });
});
