import { describe, expect, it } from "vitest";
import { loadEnvironment } from "../../envs/index.js";
import type { KeyDoor } from "../../envs/grid/key-door.js";
import { failureOf } from "./helpers.js";

const UP = 0;
const RIGHT = 1;
const DOWN = 2;
const LEFT = 3;

async function make(id: string, params: Readonly<Record<string, unknown>> = {}, count = 1): Promise<KeyDoor> {
  return (await loadEnvironment({ id, module: null, params }, ".")).vectorize(count) as KeyDoor;
}

/** Agent, wall, key, door and goal as @ # k D G, a row a line; the agent hides what it stands on. */
function drawing(env: KeyDoor): string[] {
  const size = Math.sqrt(env.observations.length / env.count / 5);
  const at = (cell: number): string => {
    const channels = [...env.observations.subarray(cell * 5, cell * 5 + 5)];
    return "@#kDG"[channels.indexOf(1)] ?? ".";
  };
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column) => at(row * size + column)).join(""),
  );
}

/** Every state that can be reached, with the fewest steps that lead there; ends where the goal is. */
function explore(env: KeyDoor): {
  readonly shortest: number;
  readonly states: number;
  readonly boards: number;
} {
  const read = (): number[] => env.state.map((column) => column[0]!);
  const write = (state: readonly number[]): void => state.forEach((value, k) => (env.state[k]![0] = value));
  const seen = new Map([[read().join(), String(env.observations)]]);
  let shortest = Infinity;
  let front = [read()];
  for (let steps = 1; front.length > 0; steps++) {
    const next: number[][] = [];
    for (const state of front) {
      for (let action = 0; action < 4; action++) {
        write(state);
        env.advance(0, Int32Array.of(action));
        if (env.rewards[0] === 1) shortest = Math.min(shortest, steps);
        expect(env.terminated[0]).toBe(env.rewards[0]);
        const reached = read();
        if (env.terminated[0] === 1 || seen.has(reached.join())) continue;
        env.observe(0, env.observations, 0);
        seen.set(reached.join(), String(env.observations));
        next.push(reached);
      }
    }
    front = next;
  }
  return { shortest, states: seen.size, boards: new Set(seen.values()).size };
}

/** A grid of 4×4: a key above the agent, a door two rows below, the goal in the upper right corner. */
async function small(): Promise<KeyDoor> {
  const env = await make("KeyDoor-v1", { size: 4, steps: 7, maxSteps: 30 });
  env.reset(Uint32Array.of(1));
  // Row, column, doors opened, key carried; the goal; key's row and column, door's row. The wall is column 2.
  [1, 0, 0, 0, 0, 3, 0, 0, 2].forEach((value, k) => (env.state[k]![0] = value));
  return env;
}

describe("KeyDoor", () => {
  it("wants the key, then the door, then the goal, and pays for the goal alone", async () => {
    const env = await small();
    const play = (action: number): [number, ...string[]] => {
      env.step(Int32Array.of(action));
      return [env.rewards[0]!, ...drawing(env)];
    };
    expect(play(RIGHT)).toEqual([0, "k.#G", ".@#.", "..D.", "..#."]);
    // A wall, and the door without its key.
    expect(play(RIGHT)).toEqual([0, "k.#G", ".@#.", "..D.", "..#."]);
    expect(play(DOWN)).toEqual([0, "k.#G", "..#.", ".@D.", "..#."]);
    expect(play(RIGHT)).toEqual([0, "k.#G", "..#.", ".@D.", "..#."]);
    for (const action of [UP, UP, LEFT]) play(action);
    expect(drawing(env)).toEqual(["@.#G", "..#.", "..D.", "..#."]);
    // The edge of the grid.
    expect(play(UP)).toEqual([0, "@.#G", "..#.", "..D.", "..#."]);
    for (const action of [DOWN, DOWN, RIGHT]) play(action);
    expect(play(RIGHT)).toEqual([0, "..#G", "..#.", "..@.", "..#."]);
    // Between two walls.
    expect(play(UP)).toEqual([0, "..#G", "..#.", "..@.", "..#."]);
    expect(play(LEFT)).toEqual([0, "..#G", "..#.", ".@..", "..#."]);
    for (const action of [RIGHT, RIGHT, UP]) expect(play(action)[0]).toBe(0);
    expect([env.terminated[0], drawing(env)]).toEqual([0, ["..#G", "..#@", "....", "..#."]]);
    expect(play(UP)[0]).toBe(1);
    expect([env.terminated[0], env.truncated[0]]).toEqual([1, 0]);
  });

  it("calls moves into walls, edges and a door without its key invalid, and no others", async () => {
    const env = await small();
    const valid = (action: number): number => {
      env.step(Int32Array.of(action));
      return env.stepExtras["actionValid"]![0]!;
    };
    // To the wall and into it, to the door and into it; then for the key, the edge, and back through the door.
    expect([RIGHT, RIGHT, DOWN, RIGHT].map(valid)).toEqual([1, 0, 1, 0]);
    expect([UP, UP, LEFT, UP, LEFT].map(valid)).toEqual([1, 1, 1, 0, 0]);
    expect([DOWN, DOWN, RIGHT, RIGHT, UP, RIGHT, UP, UP].map(valid)).toEqual([1, 1, 1, 1, 0, 1, 1, 1]);
    expect(env.terminated[0]).toBe(1);
  });

  it.each([
    ["KeyDoor-v1", 15, 60],
    ["KeyDoorLong-v1", 30, 240],
  ])(
    "%s: every layout takes exactly %i steps, and no two of its states look alike",
    async (id, steps, limit) => {
      const env = await make(id, { layoutSeed: null });
      expect(env.spec.maxEpisodeSteps).toBe(limit);
      for (let seed = 0; seed < 12; seed++) {
        env.reset(Uint32Array.of(seed));
        const { shortest, states, boards } = explore(env);
        expect(shortest).toBe(steps);
        expect(boards).toBe(states);
      }
    },
  );

  it("keeps one layout for all episodes, chosen by layoutSeed, or draws it from the episode's seed", async () => {
    const layouts = async (params: Readonly<Record<string, unknown>>, seeds: number[]): Promise<string[]> => {
      const env = await make("KeyDoor-v1", params);
      return seeds.map((seed) => {
        env.resetInstance(0, seed);
        return drawing(env).join();
      });
    };
    expect(new Set(await layouts({}, [1, 2, 3, 4])).size).toBe(1);
    expect(await layouts({ layoutSeed: 7 }, [1])).toEqual(await layouts({ layoutSeed: 7 }, [2]));
    expect(await layouts({ layoutSeed: 7 }, [1])).not.toEqual(await layouts({ layoutSeed: 8 }, [1]));
    const drawn = await layouts({ layoutSeed: null }, [1, 2, 3, 4]);
    expect(new Set(drawn).size).toBe(4);
    expect(await layouts({ layoutSeed: null }, [4, 3, 2, 1])).toEqual(drawn.reverse());
  });

  it("refuses sizes that hold no such layout", async () => {
    const tooLong = await failureOf(() => make("KeyDoor-v1", { steps: 40 }));
    expect(tooLong.code).toBe("CONFIG_INVALID");
    expect(tooLong.message).toBe(
      "environment.params.steps: of 1000 layouts of size 6 with 2 rooms none has a shortest solution of 40 steps; choose another number of steps, another size or another number of rooms",
    );
    const tooNarrow = await failureOf(() => make("KeyDoor-v1", { rooms: 4 }));
    expect(tooNarrow.message).toContain("environment.params.rooms: must be at most half of size");
  });
});
