import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentSpec, VectorEnvironment } from "../../core/env/environment.js";
import { box, discrete, widthOf, type Space } from "../../core/env/spaces.js";
import { Random } from "../../core/random.js";
import { environmentDefinitions, findEnvironment } from "../../envs/index.js";
import { sample } from "./goldens.js";

/** Environments whose next state is not left to chance. */
const deterministic = ["Taxi-v4", "CliffWalking-v1", "KeyDoor-v1", "KeyDoorLong-v1"];

const ids = environmentDefinitions.map((definition) => definition.id);

function make(id: string, count: number): VectorEnvironment {
  const definition = findEnvironment(id);
  const params = definition.params.parse({});
  return definition.vectorize(definition.spec(params), params, count);
}

/** Random actions of `count` instances within the space. */
function randomActions(space: Space, count: number, random: Random): ActionArray {
  if (space.kind === "discrete") return Int32Array.from({ length: count }, () => random.integer(space.n));
  return Float32Array.from({ length: count * widthOf(space) }, () => random.between(-1, 1));
}

/** Reward and end of the last step, and a digest of the observation it led to. */
function shown(
  env: VectorEnvironment,
  i: number,
  which: "observations" | "finalObservations" = "observations",
): string {
  const width = widthOf(env.spec.observationSpace);
  const observation = env[which].subarray(i * width, (i + 1) * width);
  const digest = createHash("sha1").update(observation).digest("base64");
  return `reward ${env.rewards[i]}, ends ${env.terminated[i]} ${env.truncated[i]}, ${which} ${digest}`;
}

/** The first number of `observations` that is not of the space; null = there is none. */
function outside(space: Space, observations: Float32Array): number | null {
  const width = widthOf(space);
  for (let at = 0; at < observations.length; at++) {
    const x = observations[at]!;
    const k = at % width;
    if (space.kind === "box") {
      if (!(x >= Math.fround(space.low[k]!) && x <= Math.fround(space.high[k]!))) return x;
    } else if (!(
      Number.isInteger(x) &&
      x >= 0 &&
      x < (space.kind === "discrete" ? space.n : space.sizes[k]!)
    )) {
      return x;
    }
  }
  return null;
}

/** A space with every number rounded to float32 and infinities spelled, as the record holds Gymnasium's. */
function asGolden(space: Space): unknown {
  if (space.kind !== "box") return space;
  const bound = (x: number): number | string =>
    Number.isFinite(x) ? Math.fround(x) : x > 0 ? "inf" : "-inf";
  return { ...space, low: space.low.map(bound), high: space.high.map(bound) };
}

describe.each(ids)("%s", (id) => {
  it.runIf(id in sample.specs)("has Gymnasium's spaces, time limit and reward threshold", () => {
    const { spec } = make(id, 1);
    expect({
      maxEpisodeSteps: spec.maxEpisodeSteps,
      rewardThreshold: spec.rewardThreshold,
      observationSpace: asGolden(spec.observationSpace),
      actionSpace: asGolden(spec.actionSpace),
    }).toEqual(sample.specs[id]);
  });

  /** What comes out of each of `steps` steps of instances with these seeds, one list of digests an instance. */
  function trace(seeds: readonly number[], steps: number): string[][] {
    const env = make(id, seeds.length);
    void env.reset(Uint32Array.from(seeds));
    const actionSources = seeds.map((seed) => new Random(seed + 1));
    const out = seeds.map((_, i) => [shown(env, i)]);
    for (let t = 0; t < steps; t++) {
      const actions = actionSources.map((source) => randomActions(env.spec.actionSpace, 1, source)[0]!);
      void env.step(
        env.spec.actionSpace.kind === "discrete" ? Int32Array.from(actions) : Float32Array.from(actions),
      );
      out.forEach((list, i) => {
        list.push(shown(env, i));
        if (env.terminated[i] === 1 || env.truncated[i] === 1) list.push(shown(env, i, "finalObservations"));
      });
    }
    return out;
  }

  it("gives the same stream for the same seed, over many episodes", () => {
    expect(trace([5, 6], 700)).toEqual(trace([5, 6], 700));
  });

  it("gives an instance the same stream whatever its neighbours are", () => {
    const [, second] = trace([1, 42, 3], 700);
    expect(trace([42], 700)).toEqual([second]);
    expect(trace([9, 10, 11, 42], 700)[3]).toEqual(second);
  });

  it("resets one instance to what a fresh environment of that seed is, and leaves the others untouched", () => {
    const [some, undisturbed, fresh] = [make(id, 3), make(id, 3), make(id, 1)];
    for (const env of [some, undisturbed]) void env.reset(Uint32Array.of(1, 2, 3));
    const random = new Random(7);
    for (let t = 0; t < 400; t++) {
      if (t % 90 === 50) {
        void some.resetInstance(1, 1000 + t);
        void fresh.reset(Uint32Array.of(1000 + t));
      }
      const actions = randomActions(some.spec.actionSpace, 3, random);
      const w = actions.length / 3;
      for (const env of [some, undisturbed]) void env.step(actions);
      if (t >= 50) {
        void fresh.step(actions.slice(w, 2 * w));
        expect(shown(some, 1)).toEqual(shown(fresh, 0));
      }
      for (const i of [0, 2]) expect(shown(some, i)).toEqual(shown(undisturbed, i));
    }
  });

  it("steps those instances that it is told to, up to the end of their episode", () => {
    const width = widthOf(make(id, 1).spec.observationSpace);
    const [some, all] = [make(id, 3), make(id, 3)];
    for (const env of [some, all]) void env.reset(Uint32Array.of(4, 5, 6));
    const active = Uint8Array.of(1, 0, 1);
    const before = some.observations.slice(width, 2 * width);
    const random = new Random(8);
    for (let t = 0; t < 300 && active[0] === 1; t++) {
      const actions = randomActions(some.spec.actionSpace, 3, random);
      void some.step(actions, active);
      void all.step(actions);
      for (const i of [0, 2]) {
        if (active[i] === 0) continue;
        const ended = all.terminated[i] === 1 || all.truncated[i] === 1;
        const seen = ended ? "finalObservations" : "observations";
        expect(shown(some, i, seen)).toBe(shown(all, i, seen));
        if (ended) active[i] = 0;
      }
    }
    expect(some.observations.subarray(width, 2 * width)).toEqual(before);
    expect([some.rewards[1], some.terminated[1], some.truncated[1]]).toEqual([0, 0, 0]);
  });

  it("gives the numbers that its spec names", () => {
    const env = make(id, 3);
    for (const [numbers, names] of [
      [env.stepExtras, env.spec.stepExtras],
      [env.counters, env.spec.counters],
    ] as const) {
      expect(Object.keys(numbers)).toEqual(names ?? []);
      for (const values of Object.values(numbers)) expect(values).toHaveLength(3);
    }
  });

  it.runIf(make(id, 1).spec.stepExtras?.includes("actionValid"))(
    "calls an action valid that can lead to another state",
    () => {
      const count = 16;
      const env = make(id, count);
      const width = widthOf(env.spec.observationSpace);
      const random = new Random(5);
      void env.reset(Uint32Array.from({ length: count }, (_, i) => i));
      const seen = { valid: 0, invalid: 0 };
      for (let t = 0; t < 300; t++) {
        const before = env.observations.slice();
        void env.step(randomActions(env.spec.actionSpace, count, random));
        for (let i = 0; i < count; i++) {
          const ended = env.terminated[i] === 1 || env.truncated[i] === 1;
          const of = (all: Float32Array): string => all.subarray(i * width, (i + 1) * width).join();
          const changed = of(ended ? env.finalObservations : env.observations) !== of(before);
          const valid = env.stepExtras["actionValid"]![i]!;
          seen[valid === 1 ? "valid" : "invalid"]++;
          // Chance may leave a state as it is; nothing changes it where no outcome can.
          if (changed) expect(valid).toBe(1);
          else if (deterministic.includes(id)) expect(valid).toBe(0);
        }
      }
      expect(seen.valid).toBeGreaterThan(0);
      if (deterministic.includes(id)) expect(seen.invalid).toBeGreaterThan(0);
    },
  );

  it("keeps every observation in its space, every reward finite, and never ends an episode twice at once", () => {
    const env = make(id, 8);
    const random = new Random(3);
    void env.reset(Uint32Array.from({ length: 8 }, (_, i) => i));
    expect(outside(env.spec.observationSpace, env.observations)).toBeNull();
    for (let t = 0; t < 2000; t++) {
      void env.step(randomActions(env.spec.actionSpace, 8, random));
      expect(outside(env.spec.observationSpace, env.observations)).toBeNull();
      expect(outside(env.spec.observationSpace, env.finalObservations)).toBeNull();
      expect(env.rewards.every(Number.isFinite)).toBe(true);
      for (const values of Object.values(env.stepExtras)) expect(values.every(Number.isFinite)).toBe(true);
      expect(env.terminated.every((end, i) => end + env.truncated[i]! <= 1)).toBe(true);
    }
  });
});

describe("episodes that differ only by seed", () => {
  it("start elsewhere", () => {
    const env = make("CartPole-v1", 2);
    void env.reset(Uint32Array.of(1, 2));
    expect(Array.from(env.observations.subarray(0, 4))).not.toEqual(Array.from(env.observations.subarray(4)));
  });
});

describe("the time limit", () => {
  it("truncates Pendulum at step 200, carries the last observation and starts a new episode at once", () => {
    const env = make("Pendulum-v1", 2) as ArrayEnvironment;
    env.reset(Uint32Array.of(1, 2));
    for (let t = 1; t <= 199; t++) {
      env.step(new Float32Array(2));
      expect([...env.truncated, ...env.terminated]).toEqual([0, 0, 0, 0]);
    }
    // What step 200 has to report, from a second environment put into the same state.
    const twin = make("Pendulum-v1", 2) as ArrayEnvironment;
    twin.reset(Uint32Array.of(1, 2));
    env.state.forEach((variable, k) => twin.state[k]!.set(variable));
    twin.step(new Float32Array(2));

    env.step(new Float32Array(2));
    expect([...env.truncated]).toEqual([1, 1]);
    expect([...env.terminated]).toEqual([0, 0]);
    expect(Array.from(env.finalObservations)).toEqual(Array.from(twin.observations));
    expect([...env.elapsed]).toEqual([0, 0]);
    for (let i = 0; i < 2; i++) {
      // A start state of Pendulum: speed within ±1, observed as it stands.
      expect(Math.abs(env.state[1]![i]!)).toBeLessThanOrEqual(1);
      expect(env.observations[i * 3]).toBe(Math.fround(Math.cos(env.state[0]![i]!)));
    }
    env.step(new Float32Array(2));
    expect([...env.truncated]).toEqual([0, 0]);
    expect([...env.elapsed]).toEqual([1, 1]);
  });

  it("lets a termination on the last allowed step be a termination", () => {
    class Countdown extends ArrayEnvironment {
      protected begin(i: number): void {
        this.state[0]![i] = 3;
      }
      advance(i: number): void {
        const left = this.state[0]![i]! - 1;
        this.state[0]![i] = left;
        this.rewards[i] = 1;
        this.terminated[i] = left === 0 ? 1 : 0;
      }
      observe(i: number, out: Float32Array, at: number): void {
        out[at] = this.state[0]![i]!;
      }
    }
    const spec = (maxEpisodeSteps: number): EnvironmentSpec => ({
      id: "Countdown",
      observationSpace: box([1], 0, 3),
      actionSpace: discrete(1),
      maxEpisodeSteps,
      rewardThreshold: null,
    });
    const ends = (limit: number): number[] => {
      const env = new Countdown(spec(limit), 1, 1);
      env.reset(Uint32Array.of(0));
      do env.step(Int32Array.of(0));
      while (env.terminated[0] === 0 && env.truncated[0] === 0);
      return [env.terminated[0]!, env.truncated[0]!, env.finalObservations[0]!, env.observations[0]!];
    };
    expect(ends(3)).toEqual([1, 0, 0, 3]);
    expect(ends(2)).toEqual([0, 1, 1, 3]);
  });
});
