import { describe, expect, it } from "vitest";
import type { Action, Environment, StepResult } from "../../core/env/environment.js";
import { InstanceFailures } from "../../core/env/instances.js";
import { box, discrete, multiDiscrete, type Space } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

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

  it("resets one instance alone, as a fresh one of that seed, and its later episodes too", () => {
    const walks: Walk[] = [];
    const env = vectorizeEnvironment(specOf(), () => (walks[walks.length] = new Walk(2)), 2);
    void env.reset(Uint32Array.of(7, 8));
    void env.step(Int32Array.of(1, 0));
    const neighbour = env.observations.slice(0, 2);
    expect(env.resetInstance(1, 9)).toBeUndefined();
    expect([...env.observations]).toEqual([...neighbour, new Random(9).integer(50), 0]);
    for (let t = 0; t < 2; t++) void env.step(Int32Array.of(0, 1));
    expect(walks[1]!.seeds).toEqual([8, 9, new Random(9).nextUint32()]);
    expect(walks[0]!.seeds).toEqual([7]);
  });

  it("steps only the instances it is told to, and begins no episode for them", () => {
    const walks: Walk[] = [];
    const env = vectorizeEnvironment(specOf(), () => (walks[walks.length] = new Walk(2)), 3);
    void env.reset(Uint32Array.of(7, 8, 9));
    const start = env.observations.slice();
    for (let t = 0; t < 2; t++) void env.step(Int32Array.of(1, 1, 0), Uint8Array.of(1, 0, 1));
    expect([...env.terminated]).toEqual([1, 0, 1]);
    expect([...env.finalObservations.subarray(0, 2)]).toEqual([start[0]! + 2, 2]);
    expect([...env.observations.subarray(2, 4)]).toEqual([...start.subarray(2, 4)]);
    expect(walks.map(({ seeds }) => seeds)).toEqual([[7], [8], [9]]);
    void env.step(Int32Array.of(0, 1, 0), Uint8Array.of(0, 1, 0));
    expect([...env.observations.subarray(2, 4)]).toEqual([start[2]! + 1, 1]);
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

  it("names every instance that failed, once the others have finished their step", async () => {
    const booms = [new Error("at once"), new Error("later")];
    let made = 0;
    let steps = 0;
    const create = (): Environment => {
      const number = made++;
      return {
        reset: () => [0, 0],
        step: async () => {
          if (number === 0) throw booms[0]!;
          for (let k = 0; k < 9; k++) await Promise.resolve();
          if (number === 2) throw booms[1]!;
          steps++;
          return fine;
        },
      };
    };
    const env = vectorizeEnvironment(specOf(), create, 4);
    await env.reset(Uint32Array.of(1, 2, 3, 4));
    const failure = await failureOf(() => env.step(Int32Array.of(0, 0, 0, 0)));
    expect(failure).toBeInstanceOf(InstanceFailures);
    const { failures } = failure as InstanceFailures;
    expect([...failures].map(([i, { code, cause }]) => [i, code, cause])).toEqual([
      [0, "ENVIRONMENT_FAILED", booms[0]],
      [2, "ENVIRONMENT_FAILED", booms[1]],
    ]);
    expect(steps).toBe(2);
    await env.resetInstance(0, 5);
    await env.step(Int32Array.of(0, 0, 0, 0), Uint8Array.of(0, 1, 0, 0));
    expect(steps).toBe(3);
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
