/** Numbers of an environment's own, from the environment through the record to a recipe. */
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import type { Environment } from "../../core/env/environment.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { assembleBatch } from "../../core/slots/batch.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe, resolveRunRecipe } from "../../core/recipes/index.js";
import { columnsComplaint } from "../../core/transport/columns.js";
import { stepCount, type Rollout, type RolloutColumns } from "../../core/types.js";
import type { Unplayed } from "../../services/actor/messages.js";
import { contextOf, randomRollout } from "../recipes/fixture.js";
import { at, builtIn, columnsOf, ends, LIMIT_SPEC, playerOf, requestOf } from "./member-fixture.js";

const MLP = { kind: "mlp", hidden: [4] } as const;

const SPEC = { ...LIMIT_SPEC, stepExtras: ["double"], counters: ["square"], snapshots: true };

/** Counts its steps to six; gives twice their number with each, and the square of it at the end. */
class Six implements Environment {
  private steps = 0;

  constructor(private readonly largest = 36) {}

  reset(): number[] {
    this.steps = 0;
    return [0];
  }
  step(): ReturnType<Environment["step"]> {
    const n = ++this.steps;
    const counters = { square: n === 6 ? this.largest : n ** 2 };
    const ended = { terminated: n === 6, truncated: false };
    return { observation: [n], reward: 1, ...ended, extras: { double: 2 * n }, counters };
  }
  snapshot(): Uint8Array {
    return Uint8Array.of(this.steps);
  }
  restore(snapshot: Uint8Array): void {
    this.steps = snapshot[0]!;
  }
}

describe("an environment's own numbers in the record of an episode", () => {
  it("are those of each step, and of each row at its own end, branches included", async () => {
    const { player } = await playerOf(
      vectorizeEnvironment(SPEC, () => new Six(), 2),
      MLP,
    );
    const branches = { at: [0, 4], states: 2, count: 1, maxSteps: 3 };
    const [ended] = await ends(player, [at(1, requestOf({ branches }))], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    expect([...columns.offsets]).toEqual([0, 6, 9, 11]);
    expect([...columns.stepExtras["double"]!]).toEqual([2, 4, 6, 8, 10, 12, 2, 4, 6, 10, 12]);
    // The branch from the start is cut before its end.
    expect([...columns.rowCounters["square"]!]).toEqual([36, NaN, 36]);
    expect([...columns.rowCounters["episodeReturn"]!]).toEqual([6, NaN, NaN]);
  });

  it("that are beyond float32 give the member back", async () => {
    const { player } = await playerOf(
      vectorizeEnvironment(SPEC, () => new Six(1e39), 1),
      MLP,
    );
    const [ended] = await ends(player, [at(0, requestOf())], 1);
    const { reason, message } = ended!.result as Unplayed;
    expect(reason).toBe("environment");
    expect(message).toContain("counters.square is 1e+39, expected a number finite in float32");
  });

  it("stand below what the record itself has under a name", () => {
    const { rewards, truncated } = randomRollout(new Random(1)).columns;
    const rollout = randomRollout(new Random(1));
    const columns = {
      ...rollout.columns,
      stepExtras: { rewards: rewards.map(() => 7), own: rewards },
      rowCounters: { truncated: Float32Array.from(truncated, () => 7), own: Float32Array.from(truncated) },
    };
    const { step, row } = assembleBatch([{ ...rollout, columns }]);
    expect([...step["rewards"]!]).toEqual([...rewards]);
    expect(step["own"]).toEqual(step["rewards"]);
    expect([...row["truncated"]!]).toEqual([...truncated]);
    expect(row["own"]).toEqual(row["truncated"]);
  });
});

/** [N] 0 where the board after a step is the one before it. */
function changes(c: RolloutColumns): number[] {
  const o = c.observationWidth;
  const board = (all: Float32Array, t: number): string => all.subarray(t * o, (t + 1) * o).join();
  const last = stepCount(c) - 1;
  return Array.from({ length: last + 1 }, (_, t) => {
    const next = t === last ? board(c.finalObservations, 0) : board(c.observations, t + 1);
    return next === board(c.observations, t) ? 0 : 1;
  });
}

describe("gigpo on KeyDoor", () => {
  it("takes the penalty from each action that was wasted, and from no other", async () => {
    const { player } = await playerOf(builtIn("KeyDoor-v1", 2), MLP);
    const members = [0, 1].map((member) => at(member, requestOf({ member })));
    const ended = await ends(player, members, 2);
    const rollouts = ended.map(columnsOf).map((columns): Rollout => ({
      ...randomRollout(new Random(1)),
      columns,
    }));
    const valid = rollouts.map(({ columns }) => changes(columns));
    expect(new Set(valid.flat())).toEqual(new Set([0, 1]));
    const advantages = (invalidPenalty: number): Float64Array => {
      const recipe = resolveRecipe({ id: "gigpo", params: { invalidPenalty, stepWeight: 0 } });
      return deriveColumns(recipe, "seal", assembleBatch(rollouts), contextOf()).step["advantages"]!;
    };
    const without = advantages(0);
    const found = advantages(0.5).map((a, k) => a - without[k]!);
    // The mean of the group is that of the scores at first steps, their penalties taken.
    const mean = (0.5 * valid.reduce((sum, [first]) => sum + 1 - first!, 0)) / valid.length;
    const expected = valid.flat().map((v) => mean - 0.5 * (1 - v));
    expected.forEach((a, k) => expect(found[k], `step ${k}`).toBeCloseTo(a, 12));
  });

  it("may be run there, where equal observations are the same state, and not on CartPole", () => {
    const run = (id: string) => {
      const config = parseRunConfig(
        { environment: { id }, recipe: { id: "gigpo" }, groups: { size: 4, tasks: 8 } },
        "test",
      );
      return resolveRunRecipe(config, builtIn(id, 1).spec);
    };
    for (const id of ["KeyDoor-v1", "FrozenLake-v1"]) expect(run(id).id).toBe("gigpo");
    expect(() => run("CartPole-v1")).toThrow("with anchorKeys or anchorObservations in its description");
  });
});
