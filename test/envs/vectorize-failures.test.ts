import { describe, expect, it } from "vitest";
import type { Environment } from "../../core/env/environment.js";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import { defineEnvironment } from "../../core/env/define.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

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
    [
      "an observation too long",
      { ...fine, observation: [0, 0, 0] },
      "observation has length 3, expected 2 for Box(2)",
    ],
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
    expect(failure.message).toContain("Correct step() or the environment's description.");
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
