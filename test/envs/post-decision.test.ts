import { describe, expect, it } from "vitest";
import type { Action, Environment, Observation, VectorEnvironment } from "../../core/env/environment.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { findEnvironment } from "../../envs/index.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

function make(id: string, count: number, given: Readonly<Record<string, unknown>> = {}): VectorEnvironment {
  const definition = findEnvironment(id);
  const params = definition.params.parse(given);
  return definition.vectorize(definition.spec(params), params, count);
}

describe.each([
  ["FrozenLake-v1", 4],
  ["FrozenLake8x8-v1", 8],
])("post-decision states of %s", (id, size) => {
  /** Row by row; actions 0 left, 1 down, 2 right, 3 up; nobody leaves the lake. */
  const meant = (state: number, action: number): number => {
    const [row, column] = [Math.floor(state / size), state % size];
    if (action === 0) return column === 0 ? state : state - 1;
    if (action === 1) return row === size - 1 ? state : state + size;
    if (action === 2) return column === size - 1 ? state : state + 1;
    return row === 0 ? state : state - size;
  };

  it.each([true, false])("are the tiles that were meant, reached or not (slippery %s)", (slippery) => {
    const count = 50;
    const env = make(id, count, { slippery });
    void env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    const random = new Random(3);
    let [reached, moves] = [0, 0];
    for (let t = 0; t < 400; t++) {
      const before = env.observations.slice();
      const actions = Int32Array.from({ length: count }, () => random.integer(4));
      void env.step(actions);
      for (let i = 0; i < count; i++) {
        const expected = meant(before[i]!, actions[i]!);
        expect(env.postDecisionObservations![i]).toBe(expected);
        const ended = env.terminated[i] === 1 || env.truncated[i] === 1;
        const next = ended ? env.finalObservations[i]! : env.observations[i]!;
        // Where two of the three directions that ice may take lead to one tile, chance is not to be seen.
        const others = [(actions[i]! + 1) % 4, (actions[i]! + 3) % 4].map((a) => meant(before[i]!, a));
        if (others.includes(expected)) continue;
        moves++;
        if (next === expected) reached++;
      }
    }
    const share = slippery ? 1 / 3 : 1;
    // Four standard deviations of a binomial.
    const room = 4 * Math.sqrt(moves * share * (1 - share));
    expect(Math.abs(reached - share * moves)).toBeLessThanOrEqual(room);
  });

  it("belong to the step of those instances that take one", () => {
    const env = make(id, 2);
    void env.reset(Uint32Array.of(1, 2));
    void env.step(Int32Array.of(2, 1));
    const before = env.postDecisionObservations!.slice();
    void env.step(Int32Array.of(3, 3), Uint8Array.of(0, 1));
    expect(env.postDecisionObservations![0]).toBe(before[0]);
  });
});

/** Climbs a ladder of which the wind takes a rung back or not. */
class Ladder implements Environment {
  private rung = 0;
  private random = new Random(0);

  reset({ seed }: { readonly seed: number }): number[] {
    this.random = new Random(seed);
    this.rung = 0;
    return [0, 0];
  }

  postDecisionState(action: Action): Observation | Promise<Observation> {
    return [this.rung + (action as number), -1];
  }

  step(action: Action): ReturnType<Environment["step"]> {
    this.rung += (action as number) - this.random.integer(2);
    return { ...fine, observation: [this.rung, 0] };
  }
}

class SlowLadder extends Ladder {
  override postDecisionState(action: Action): Promise<Observation> {
    return Promise.resolve(super.postDecisionState(action));
  }
}

const LADDER = specOf({ postDecisionStates: true });

describe("post-decision states of a user's environment", () => {
  it.each([
    ["at once", () => new Ladder()],
    ["later", () => new SlowLadder()],
  ])("are those of the actions taken, asked for before the step (answered %s)", async (_, create) => {
    const env = vectorizeEnvironment(LADDER, create, 3);
    await env.reset(Uint32Array.of(1, 2, 3));
    const random = new Random(2);
    for (let t = 0; t < 20; t++) {
      const before = env.observations.slice();
      const actions = Int32Array.from({ length: 3 }, () => random.integer(2));
      await env.step(actions);
      expect([...env.postDecisionObservations!]).toEqual(
        [0, 1, 2].flatMap((i) => [before[2 * i]! + actions[i]!, -1]),
      );
    }
  });

  it("are asked for without a promise where the environment answers at once, and null where it has none", () => {
    const env = vectorizeEnvironment(LADDER, () => new Ladder(), 1);
    void env.reset(Uint32Array.of(1));
    expect(env.step(Int32Array.of(1))).toBeUndefined();
    expect(vectorizeEnvironment(specOf(), () => new Walk(), 1).postDecisionObservations).toBeNull();
  });

  it("are refused where one is no observation, and the failure is named where it throws", async () => {
    const boom = new Error("no idea");
    const env = (postDecisionState: () => never): VectorEnvironment => {
      const made = vectorizeEnvironment(LADDER, () => ({ ...answering(fine), postDecisionState }), 1);
      void made.reset(Uint32Array.of(8));
      return made;
    };
    const wrong = await failureOf(() => env(() => [0] as never).step(Int32Array.of(0)));
    expect(wrong.message).toContain(
      "postDecisionState() returned a wrong value: observation has length 1, expected 2 for Box(2)",
    );
    const failing = (): never => {
      throw boom;
    };
    const failure = await failureOf(() => env(failing).step(Int32Array.of(0)));
    expect(failure.message).toContain('postDecisionState() threw "no idea"');
    expect(failure.cause).toBe(boom);
  });

  it("must be both promised and given, or neither", async () => {
    const unpromised = await failureOf(() => vectorizeEnvironment(specOf(), () => new Ladder(), 1));
    expect(unpromised.message).toContain("does not say postDecisionStates: true");
    const missing = await failureOf(() => vectorizeEnvironment(LADDER, () => answering(fine), 1));
    expect(missing.message).toContain("there is no method postDecisionState()");
  });
});
