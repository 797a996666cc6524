import { describe, expect, it } from "vitest";
import type { Action, Environment, EnvironmentSpec, StepResult } from "../../core/env/environment.js";
import { box, discrete, multiDiscrete, type Space } from "../../core/env/spaces.js";
import { defineEnvironment, vectorizeEnvironment } from "../../core/env/vectorize.js";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";

function specOf(changes: Partial<EnvironmentSpec> = {}): EnvironmentSpec {
  return {
    id: "Walk",
    observationSpace: box([2], -100, 100),
    actionSpace: discrete(2),
    maxEpisodeSteps: null,
    rewardThreshold: null,
    ...changes,
  };
}

/** Goes from a seeded start one up or down; observes [place, steps taken]; ends at ±`reach` from the start. */
class Walk implements Environment {
  readonly seeds: number[] = [];
  private start = 0;
  private place = 0;
  private steps = 0;

  constructor(private readonly reach = Infinity) {}

  reset({ seed }: { readonly seed: number }): number[] {
    this.seeds.push(seed);
    this.start = new Random(seed).integer(50);
    this.place = this.start;
    this.steps = 0;
    return [this.place, this.steps];
  }

  step(action: Action): StepResult {
    this.place += action === 1 ? 1 : -1;
    this.steps++;
    const terminated = Math.abs(this.place - this.start) >= this.reach;
    return { observation: [this.place, this.steps], reward: this.place / 4, terminated, truncated: false };
  }
}

/** The same, each answer a promise that comes some microtasks later. */
class SlowWalk implements Environment {
  private readonly walk: Walk;

  constructor(
    reach: number,
    private readonly delay: number,
  ) {
    this.walk = new Walk(reach);
  }

  async reset(options: { readonly seed: number }): Promise<number[]> {
    for (let k = 0; k < this.delay; k++) await Promise.resolve();
    return this.walk.reset(options);
  }

  async step(action: Action): Promise<StepResult> {
    for (let k = 0; k < this.delay; k++) await Promise.resolve();
    return this.walk.step(action);
  }
}

/** An environment that begins well and answers every step with `result`. */
function answering(result: unknown, first: unknown = [0, 0]): Environment {
  return { reset: () => first as number[], step: () => result as StepResult };
}

const fine: StepResult = { observation: [0, 0], reward: 0, terminated: false, truncated: false };

/** The SkeinError that comes of it, thrown or rejected. */
async function failureOf(act: () => unknown): Promise<SkeinError> {
  try {
    await act();
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    return error as SkeinError;
  }
  throw new Error("nothing was thrown");
}

describe("a synchronous environment, vectorised", () => {
  it("steps without a promise and lays results out by instance", () => {
    const env = vectorizeEnvironment(specOf(), () => new Walk(), 3);
    expect(env.reset(Uint32Array.of(1, 2, 3))).toBeUndefined();
    const starts = [1, 2, 3].map((seed) => new Random(seed).integer(50));
    expect([...env.observations]).toEqual(starts.flatMap((place) => [place, 0]));
    expect(env.step(Int32Array.of(1, 0, 1))).toBeUndefined();
    expect([...env.observations]).toEqual([starts[0]! + 1, 1, starts[1]! - 1, 1, starts[2]! + 1, 1]);
    expect([...env.rewards]).toEqual([(starts[0]! + 1) / 4, (starts[1]! - 1) / 4, (starts[2]! + 1) / 4]);
    expect([...env.terminated, ...env.truncated]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("begins the next episode in the same step, with a seed from the instance's own stream", () => {
    const walks: Walk[] = [];
    const create = (): Walk => (walks[walks.length] = new Walk(2));
    const env = vectorizeEnvironment(specOf(), create, 2);
    void env.reset(Uint32Array.of(7, 8));
    const start = env.observations[0]!;
    void env.step(Int32Array.of(1, 1));
    void env.step(Int32Array.of(1, 0));
    expect([...env.terminated]).toEqual([1, 0]);
    expect([...env.finalObservations.subarray(0, 2)]).toEqual([start + 2, 2]);
    const nextSeed = new Random(7).nextUint32();
    expect(walks.map((walk) => walk.seeds)).toEqual([[7, nextSeed], [8]]);
    expect([...env.observations.subarray(0, 2)]).toEqual([new Random(nextSeed).integer(50), 0]);
    void env.step(Int32Array.of(1, 0));
    expect(env.terminated[0]).toBe(0);
  });

  it("truncates at the time limit, unless that step terminates, and counts from there again", () => {
    const run = (reach: number): number[][] => {
      const env = vectorizeEnvironment(specOf({ maxEpisodeSteps: 3 }), () => new Walk(reach), 1);
      void env.reset(Uint32Array.of(5));
      return Array.from({ length: 7 }, () => {
        void env.step(Int32Array.of(1));
        return [env.terminated[0]!, env.truncated[0]!];
      });
    };
    const [on, cut, end] = [[0, 0], [0, 1], [1, 0]]; // prettier-ignore
    expect(run(10)).toEqual([on, on, cut, on, on, cut, on]);
    expect(run(3)).toEqual([on, on, end, on, on, end, on]);
  });

  it("passes on a truncation of the environment's own, and calls an end that is both a termination", () => {
    const ends = (terminated: boolean): number[] => {
      const env = vectorizeEnvironment(
        specOf(),
        () => answering({ ...fine, terminated, truncated: true }),
        1,
      );
      void env.reset(Uint32Array.of(0));
      void env.step(Int32Array.of(0));
      return [env.terminated[0]!, env.truncated[0]!];
    };
    expect(ends(false)).toEqual([0, 1]);
    expect(ends(true)).toEqual([1, 0]);
  });

  it("gives an instance the same stream whatever its neighbours are", () => {
    const trace = (seeds: readonly number[], watched: number): number[] => {
      const env = vectorizeEnvironment(specOf({ maxEpisodeSteps: 9 }), () => new Walk(4), seeds.length);
      void env.reset(Uint32Array.from(seeds));
      return Array.from({ length: 100 }, (_, t) => {
        void env.step(new Int32Array(seeds.length).fill(t % 3 === 0 ? 0 : 1));
        return [...env.observations.subarray(watched * 2, watched * 2 + 2), env.rewards[watched]!];
      }).flat();
    };
    expect(trace([1, 42, 3], 1)).toEqual(trace([42], 0));
  });

  it("hands over actions as a number for discrete spaces and as an array else", () => {
    const seen: Action[] = [];
    const act = (actionSpace: Space, actions: Int32Array | Float32Array): void => {
      const create = (): Environment => ({
        reset: () => [0, 0],
        step: (action) => {
          seen.push(action);
          return fine;
        },
      });
      const env = vectorizeEnvironment(specOf({ actionSpace }), create, 2);
      void env.reset(Uint32Array.of(0, 0));
      void env.step(actions);
    };
    act(discrete(3), Int32Array.of(2, 1));
    act(box([2], -1, 1), Float32Array.of(0.5, -1, 0.25, 1));
    act(multiDiscrete([3, 4]), Int32Array.of(2, 3, 0, 1));
    expect(seen).toEqual([2, 1, [0.5, -1], [0.25, 1], [2, 3], [0, 1]]);
  });

  it("takes a number for a discrete observation and an array for a multi-discrete one", () => {
    const observe = (observationSpace: Space, observation: unknown): number[] => {
      const create = (): Environment => answering({ ...fine, observation }, observation);
      const env = vectorizeEnvironment(specOf({ observationSpace }), create, 1);
      void env.reset(Uint32Array.of(0));
      void env.step(Int32Array.of(0));
      return [...env.observations];
    };
    expect(observe(discrete(5), 4)).toEqual([4]);
    expect(observe(multiDiscrete([5, 2]), [4, 1])).toEqual([4, 1]);
    expect(observe(box([2, 1], 0, 1), Float64Array.of(0.25, 0.5))).toEqual([0.25, 0.5]);
  });

  it("closes every instance, those without close too", () => {
    let closed = 0;
    const create = (): Environment => Object.assign(new Walk(), { close: () => void closed++ });
    const env = vectorizeEnvironment(specOf(), create, 3);
    expect(env.close?.()).toBeUndefined();
    expect(closed).toBe(3);
    expect(vectorizeEnvironment(specOf(), () => new Walk(), 1).close?.()).toBeUndefined();
  });

  it("refuses seeds or actions for another number of instances", async () => {
    const env = vectorizeEnvironment(specOf(), () => new Walk(), 2);
    expect((await failureOf(() => env.reset(Uint32Array.of(1)))).code).toBe("SHAPE");
    expect((await failureOf(() => env.step(Int32Array.of(1)))).code).toBe("SHAPE");
  });
});

describe("an asynchronous environment, vectorised", () => {
  it("gives what the synchronous one gives, episode after episode", async () => {
    const spec = specOf({ maxEpisodeSteps: 5 });
    const slow = vectorizeEnvironment(spec, () => new SlowWalk(3, 4), 3);
    const quick = vectorizeEnvironment(spec, () => new Walk(3), 3);
    const seeds = Uint32Array.of(1, 2, 3);
    void quick.reset(seeds);
    const running = slow.reset(seeds);
    expect(running).toBeInstanceOf(Promise);
    await running;
    const random = new Random(1);
    for (let t = 0; t < 60; t++) {
      const actions = Int32Array.from({ length: 3 }, () => random.integer(2));
      void quick.step(actions);
      await slow.step(actions);
      for (const field of [
        "observations",
        "finalObservations",
        "rewards",
        "terminated",
        "truncated",
      ] as const) {
        expect([...slow[field]]).toEqual([...quick[field]]);
      }
    }
  });

  it("steps all instances at once: the first waits for the last to begin", async () => {
    let release = (): void => undefined;
    const lastBegan = new Promise<void>((resolve) => (release = resolve));
    let made = 0;
    const create = (): Environment => {
      const isLast = ++made === 3;
      return {
        reset: () => [0, 0],
        step: async () => {
          if (isLast) release();
          await lastBegan;
          return fine;
        },
      };
    };
    const env = vectorizeEnvironment(specOf(), create, 3);
    await env.reset(Uint32Array.of(1, 2, 3));
    await env.step(Int32Array.of(0, 0, 0));
    expect([...env.terminated]).toEqual([0, 0, 0]);
  });

  it("reports a rejection as a failure of that instance, next to instances that answer at once", async () => {
    const boom = new TypeError("socket gone");
    let made = 0;
    const create = (): Environment =>
      made++ === 1 ? { reset: () => [0, 0], step: () => Promise.reject(boom) } : answering(fine);
    const env = vectorizeEnvironment(specOf(), create, 3);
    await env.reset(Uint32Array.of(1, 2, 3));
    const failure = await failureOf(() => env.step(Int32Array.of(0, 0, 0)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toMatch(/"Walk", instance 1, step 1 .*step\(\) threw "socket gone"/);
    expect(failure.cause).toBe(boom);
  });

  it("leaves no rejection unheard when instances fail both at once and later", async () => {
    let made = 0;
    const create = (): Environment => {
      const number = made++;
      return {
        reset: () => [0, 0],
        step: () => {
          if (number === 1) throw new Error("at once");
          return Promise.reject(new Error("later"));
        },
      };
    };
    const env = vectorizeEnvironment(specOf(), create, 3);
    await env.reset(Uint32Array.of(1, 2, 3));
    const failure = await failureOf(() => env.step(Int32Array.of(0, 0, 0)));
    expect(failure.message).toContain('instance 1, step 1 of its episode: step() threw "at once"');
  });
});

describe("an environment that fails", () => {
  it("is named with instance, step and seed, its own error quoted and kept", async () => {
    const boom = new RangeError("fell off the edge");
    let made = 0;
    const create = (): Environment => {
      const isSecond = ++made === 2;
      let steps = 0;
      return {
        reset: () => [0, 0],
        step: () => {
          if (isSecond && ++steps === 3) throw boom;
          return fine;
        },
      };
    };
    const env = vectorizeEnvironment(specOf(), create, 2);
    void env.reset(Uint32Array.of(11, 12));
    void env.step(Int32Array.of(0, 0));
    void env.step(Int32Array.of(0, 0));
    const failure = await failureOf(() => env.step(Int32Array.of(0, 0)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    for (const part of ['"Walk"', "instance 1", "step 3", '"fell off the edge"', "reset({ seed: 12 })"]) {
      expect(failure.message).toContain(part);
    }
    expect(failure.cause).toBe(boom);
  });

  it("is named when create, reset or close throws", async () => {
    const broken = (method: string): never => {
      throw new Error(`no ${method}`);
    };
    const atCreate = await failureOf(() => vectorizeEnvironment(specOf(), () => broken("create"), 1));
    const env = (changes: Partial<Environment>) =>
      vectorizeEnvironment(specOf(), () => ({ ...answering(fine), ...changes }), 1);
    const atReset = await failureOf(() => env({ reset: () => broken("reset") }).reset(Uint32Array.of(1)));
    const atClose = await failureOf(() => env({ close: () => broken("close") }).close?.());
    for (const [method, failure] of Object.entries({ create: atCreate, reset: atReset, close: atClose })) {
      expect(failure.code).toBe("ENVIRONMENT_FAILED");
      expect(failure.message).toContain(`"Walk", instance 0, step 0`);
      expect(failure.message).toContain(`${method}() threw "no ${method}"`);
    }
  });

  const results: readonly (readonly [string, unknown, string])[] = [
    [
      "no result at all",
      undefined,
      "result is undefined, expected { observation, reward, terminated, truncated }",
    ],
    [
      "a NaN in the observation",
      { ...fine, observation: [0, NaN] },
      "observation[1] is NaN, expected a number finite",
    ],
    [
      "an infinite observation",
      { ...fine, observation: [Infinity, 0] },
      "observation[0] is Infinity, expected",
    ],
    [
      "an observation too large for float32",
      { ...fine, observation: [1e300, 0] },
      "observation[0] is 1e+300",
    ],
    [
      "text in the observation",
      { ...fine, observation: ["1", 0] },
      "observation[0] is '1', expected a number",
    ],
    [
      "a nested observation",
      { ...fine, observation: [[0], 0] },
      "observation[0] is [ 0 ], expected a number",
    ],
    ["an observation too long", { ...fine, observation: [0, 0, 0] }, "has length 3, expected 2 for Box(2)"],
    [
      "a number where an array belongs",
      { ...fine, observation: 3 },
      "observation is 3, expected a flat array of 2",
    ],
    [
      "a missing observation",
      { ...fine, observation: null },
      "observation is null, expected a flat array of 2",
    ],
    ["a NaN reward", { ...fine, reward: NaN }, "reward is NaN, expected a number finite in float32"],
    ["an infinite reward", { ...fine, reward: -Infinity }, "reward is -Infinity, expected"],
    ["a reward that is no number", { ...fine, reward: "1" }, "reward is '1', expected"],
    ["terminated as a number", { ...fine, terminated: 1 }, "terminated is 1, expected true or false"],
    ["no truncated", { ...fine, truncated: undefined }, "truncated is undefined, expected true or false"],
  ];
  it.each(results)("is refused for %s", async (_, result, complaint) => {
    const env = vectorizeEnvironment(specOf(), () => answering(result), 1);
    void env.reset(Uint32Array.of(3));
    const failure = await failureOf(() => env.step(Int32Array.of(0)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain('environment "Walk", instance 0, step 1');
    expect(failure.message).toContain(`step() returned a wrong value: ${complaint}`);
    expect(failure.message).toContain("Correct step() or the environment's spaces.");
  });

  it.each([
    [discrete(5), 5, "observation is 5, expected an integer 0 … 4"],
    [discrete(5), -1, "observation is -1, expected an integer 0 … 4"],
    [discrete(5), 1.5, "observation is 1.5, expected an integer 0 … 4"],
    [discrete(5), [1], "observation is [ 1 ], expected an integer 0 … 4"],
    [multiDiscrete([5, 2]), [4, 2], "observation[1] is 2, expected an integer 0 … 1"],
    [multiDiscrete([5, 2]), [4], "observation has length 1, expected 2 for MultiDiscrete(5, 2)"],
  ])("is refused for a first observation outside %o: %o", async (observationSpace, first, complaint) => {
    const env = vectorizeEnvironment(specOf({ observationSpace }), () => answering(fine, first), 1);
    const failure = await failureOf(() => env.reset(Uint32Array.of(3)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain(`step 0 of its episode: reset() returned a wrong value: ${complaint}`);
  });
});

describe("defineEnvironment", () => {
  const description = {
    id: "Mine-v0",
    observationSpace: box([2], 0, 1),
    actionSpace: discrete(2),
    create: () => new Walk(),
  };

  it("takes parameters that are text, numbers or booleans, none by default, and hands them to create", () => {
    const given: unknown[] = [];
    const definition = defineEnvironment({
      ...description,
      maxEpisodeSteps: 10,
      rewardThreshold: 1.5,
      create: (params) => (given.push(params), new Walk()),
    });
    expect(definition.params.parse(undefined)).toEqual({});
    const params = definition.params.parse({ level: 3, name: "a", hard: true });
    const spec = definition.spec(params);
    expect(spec).toMatchObject({ id: "Mine-v0", maxEpisodeSteps: 10, rewardThreshold: 1.5 });
    definition.vectorize(spec, params, 2);
    expect(given).toEqual([params, params]);
    expect(definition.params.safeParse({ level: [3] }).success).toBe(false);
  });

  it("has no time limit and no threshold unless told", () => {
    expect(defineEnvironment(description).spec({})).toMatchObject({
      maxEpisodeSteps: null,
      rewardThreshold: null,
    });
  });

  it("refuses a description that no environment can have", async () => {
    const wrong = [
      [{ observationSpace: { shape: [2] } }, "observationSpace must be made with box()"],
      [{ actionSpace: undefined }, "actionSpace must be made with box()"],
      [{ observationSpace: box([2], [0], [1]) }, "observationSpace must be given 2 low and high bounds"],
      [{ maxEpisodeSteps: 0 }, "maxEpisodeSteps must be a positive integer or null, got 0"],
    ] as const;
    for (const [changes, complaint] of wrong) {
      const made = { ...description, ...changes } as typeof description;
      const failure = await failureOf(() => defineEnvironment(made));
      expect(failure.code).toBe("ENVIRONMENT_FAILED");
      expect(failure.message).toContain(`defineEnvironment("Mine-v0"): ${complaint}`);
    }
  });
});
