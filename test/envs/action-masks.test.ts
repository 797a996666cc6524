import { describe, expect, it } from "vitest";
import { defineEnvironment } from "../../core/env/define.js";
import type { Action, Environment, EnvironmentSpec, StepResult } from "../../core/env/environment.js";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { taxi } from "../../envs/grid/taxi.js";
import { answering, failureOf, fine, specOf } from "./helpers.js";
import { goldens, type GoldenTable } from "./goldens.js";

const masked = (changes: Partial<EnvironmentSpec> = {}): EnvironmentSpec =>
  specOf({ actionMasks: true, ...changes });

/** A corridor of five places: down is forbidden at its left end, up at place 3; place 4 cannot be reached. */
class Corridor implements Environment {
  private place = 0;

  reset({ seed }: { readonly seed: number }): number[] {
    this.place = seed % 4;
    return [this.place, 0];
  }

  step(action: Action): StepResult {
    this.place += action === 1 ? 1 : -1;
    return { observation: [this.place, 0], reward: 0, terminated: false, truncated: false };
  }

  actionMask(): number[] | boolean[] {
    return this.place === 3 ? [true, false] : [this.place === 0 ? 0 : 1, 1];
  }
}

class SlowCorridor extends Corridor {
  override actionMask(): never {
    return Promise.resolve(super.actionMask()) as never;
  }
}

describe("action masks of a user's environment", () => {
  it.each([
    ["at once", () => new Corridor()],
    ["later", () => new SlowCorridor()],
  ])(
    "belong to what each instance shows, through resets and ends of episodes (answered %s)",
    async (_, create) => {
      const env = vectorizeEnvironment(masked({ maxEpisodeSteps: 5 }), create, 3);
      await env.reset(Uint32Array.of(0, 2, 3));
      const random = new Random(1);
      for (let t = 0; t < 40; t++) {
        for (let i = 0; i < 3; i++) {
          const place = env.observations[2 * i]!;
          const expected = place === 0 ? [0, 1] : place === 3 ? [1, 0] : [1, 1];
          expect([...env.actionMasks!.subarray(2 * i, 2 * i + 2)]).toEqual(expected);
        }
        const allowed = (i: number): number => {
          const action = random.integer(2);
          return env.actionMasks![2 * i + action] === 1 ? action : 1 - action;
        };
        await env.step(Int32Array.from({ length: 3 }, (_, i) => allowed(i)));
      }
    },
  );

  it("are asked for without a promise where the environment answers at once", () => {
    const env = vectorizeEnvironment(masked(), () => new Corridor(), 2);
    expect(env.reset(Uint32Array.of(0, 1))).toBeUndefined();
    expect(env.step(Int32Array.of(1, 1))).toBeUndefined();
  });

  it("are null where the environment has none", () => {
    expect(vectorizeEnvironment(specOf(), () => answering(fine), 2).actionMasks).toBeNull();
  });

  it("of a multi-discrete action stand part after part", async () => {
    const actionSpace = multiDiscrete([2, 3]);
    const create = (): Environment => ({ ...answering(fine), actionMask: () => [0, 1, 1, 0, 1] });
    const env = vectorizeEnvironment(masked({ actionSpace }), create, 2);
    await env.reset(Uint32Array.of(0, 0));
    expect([...env.actionMasks!]).toEqual([0, 1, 1, 0, 1, 0, 1, 1, 0, 1]);
  });

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["forbids everything", [0, 0], "action mask forbids every action, expected at least one to be allowed"],
    ["is too short", [1], "action mask has length 1, expected 2 times 1 or 0 for Discrete(2)"],
    ["is too long", [1, 1, 1], "action mask has length 3, expected 2 times 1 or 0 for Discrete(2)"],
    ["is nothing", undefined, "action mask is undefined, expected 2 times 1 or 0"],
    ["holds a probability", [0.5, 0.5], "action mask[0] is 0.5, expected 1 or 0 or true or false"],
    ["has a hole", [1, null], "action mask[1] is null"],
  ];

  it.each(wrong)("end the run where one %s", async (_, mask, complaint) => {
    let steps = 0;
    const create = (): Environment => ({
      ...answering(fine),
      actionMask: () => (steps++ === 0 ? [1, 1] : mask) as number[],
    });
    const env = vectorizeEnvironment(masked(), create, 1);
    void env.reset(Uint32Array.of(8));
    const failure = await failureOf(() => env.step(Int32Array.of(0)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain('environment "Walk", instance 0, step 1 of its episode: actionMask()');
    expect(failure.message).toContain(complaint);
    expect(failure.message).toContain("reset({ seed: 8 })");
  });

  it("end the run where one part of a multi-discrete action is left no choice, the others or not", async () => {
    for (const [mask, part] of [
      [[0, 0, 1, 1, 1], 0],
      [[1, 1, 0, 0, 0], 1],
    ] as const) {
      const create = (): Environment => ({ ...answering(fine), actionMask: () => mask });
      const env = vectorizeEnvironment(masked({ actionSpace: multiDiscrete([2, 3]) }), create, 1);
      const failure = await failureOf(() => env.reset(Uint32Array.of(0)));
      expect(failure.message).toContain(`action mask forbids every action of part ${part}`);
    }
  });

  it("end the run where actionMask() throws or rejects, its own error kept", async () => {
    const boom = new Error("no idea");
    const failing: (() => never)[] = [
      () => {
        throw boom;
      },
      () => Promise.reject(boom) as never,
    ];
    for (const actionMask of failing) {
      const env = vectorizeEnvironment(masked(), () => ({ ...answering(fine), actionMask }), 1);
      const failure = await failureOf(() => env.reset(Uint32Array.of(0)));
      expect(failure.message).toContain('actionMask() threw "no idea"');
      expect(failure.cause).toBe(boom);
    }
  });

  it("must be both promised and given, or neither", async () => {
    const unpromised = await failureOf(() => vectorizeEnvironment(specOf(), () => new Corridor(), 1));
    expect(unpromised.code).toBe("ENVIRONMENT_FAILED");
    expect(unpromised.message).toContain("does not say actionMasks: true");
    const missing = await failureOf(() => vectorizeEnvironment(masked(), () => answering(fine), 1));
    expect(missing.code).toBe("ENVIRONMENT_FAILED");
    expect(missing.message).toContain("there is no method actionMask()");
  });

  it("are promised in the description, for discrete actions only", async () => {
    const describing = (actionSpace: unknown, actionMasks: unknown) => (): unknown =>
      defineEnvironment({
        ...{ id: "Masked", observationSpace: box([2], 0, 9), create: () => new Corridor() },
        ...({ actionSpace, actionMasks } as {
          actionSpace: ReturnType<typeof discrete>;
          actionMasks: boolean;
        }),
      });
    const definition = describing(discrete(2), true)() as ReturnType<typeof defineEnvironment>;
    const env = definition.vectorize(definition.spec({}), {}, 1);
    void env.reset(Uint32Array.of(3));
    expect([...env.actionMasks!]).toEqual([1, 0]);
    for (const wrongly of [describing(box([1], 0, 1), true), describing(discrete(2), "yes")]) {
      expect((await failureOf(wrongly)).message).toContain("actionMasks must be true or false, and true for");
    }
  });
});

describe("action masks of Taxi-v4", () => {
  const play = (visit: (state: number, mask: readonly number[]) => void): void => {
    const count = 600;
    const params = taxi.params.parse({ actionMasks: true });
    const env = taxi.vectorize(taxi.spec(params), params, count);
    void env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    const random = new Random(4);
    for (let t = 0; t < 300; t++) {
      const masks = Array.from({ length: count }, (_, i) => [...env.actionMasks!.subarray(6 * i, 6 * i + 6)]);
      masks.forEach((mask, i) => visit(env.observations[i]!, mask));
      // Every allowed action as likely as the others, so that all states are reached.
      const choices = masks.map((mask) => mask.flatMap((allowed, a) => (allowed === 1 ? [a] : [])));
      void env.step(Int32Array.from(choices, (actions) => actions[random.integer(actions.length)]!));
    }
  };

  it("allow what changes the state, as Gymnasium's action_mask says it, in each of the 400 states of a ride", () => {
    const places = ["0 0", "0 4", "4 0", "4 3"];
    /** A wall east of the square: along columns 1 in the north, 0 and 2 in the south. */
    const wall = (row: number, column: number): boolean =>
      (row < 2 && column === 1) || (row > 2 && (column === 0 || column === 2));
    const seen = new Set<number>();
    play((state, mask) => {
      seen.add(state);
      const passenger = Math.floor(state / 4) % 5;
      const column = Math.floor(state / 20) % 5;
      const row = Math.floor(state / 100);
      const here = places.indexOf(`${row} ${column}`);
      const expected = [
        row < 4,
        row > 0,
        column < 4 && !wall(row, column),
        column > 0 && !wall(row, column - 1),
        passenger < 4 && here === passenger,
        passenger === 4 && here >= 0,
      ];
      if (mask.some((allowed, a) => (allowed === 1) !== expected[a]))
        expect({ state, mask }).toEqual(expected);
    });
    expect(seen.size).toBe(400);
  });

  it.each(goldens<GoldenTable>("tables", "Taxi-v4"))(
    "agree with the recorded transitions (%s)",
    (_, table) => {
      let compared = 0;
      play((state, mask) => {
        const recorded = table.P[state];
        if (recorded === undefined) return;
        compared++;
        const changes = mask.map((_, a) => (recorded[a]![0]![1] !== state ? 1 : 0));
        if (changes.some((change, a) => change !== mask[a])) expect(mask, `state ${state}`).toEqual(changes);
      });
      expect(compared).toBeGreaterThan(0);
    },
  );

  it("are there only where asked for", () => {
    const params = taxi.params.parse({});
    expect(taxi.vectorize(taxi.spec(params), params, 1).actionMasks).toBeNull();
  });
});
