/** Environments left at a step and returned to: the same future, or another one from a seed. */
import { describe, expect, it } from "vitest";
import { defineEnvironment } from "../../core/env/define.js";
import type {
  Action,
  ActionArray,
  Environment,
  StepResult,
  VectorEnvironment,
} from "../../core/env/environment.js";
import { InstanceFailures } from "../../core/env/instances.js";
import { box, discrete, widthOf } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { environmentDefinitions, findEnvironment } from "../../envs/index.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

function make(id: string, count: number, given: Readonly<Record<string, unknown>> = {}): VectorEnvironment {
  const definition = findEnvironment(id);
  const params = definition.params.parse(given);
  return definition.vectorize(definition.spec(params), params, count);
}

/** One action for each instance, the same for all. */
function sameAction({ spec, count }: VectorEnvironment, random: Random): ActionArray {
  const space = spec.actionSpace;
  if (space.kind === "discrete") return new Int32Array(count).fill(random.integer(space.n));
  return new Float32Array(count * widthOf(space)).fill(random.between(-1, 1));
}

/** All that instance i shows. */
function shown(env: VectorEnvironment, i: number): unknown {
  const width = widthOf(env.spec.observationSpace);
  const of = (all: Float32Array): number[] => [...all.subarray(i * width, (i + 1) * width)];
  const ended = env.terminated[i] === 1 || env.truncated[i] === 1;
  const choices = env.actionMasks === null ? 0 : env.actionMasks.length / env.count;
  return {
    seen: of(env.observations),
    last: ended ? of(env.finalObservations) : null,
    ...{ reward: env.rewards[i]!, terminated: env.terminated[i]!, truncated: env.truncated[i]! },
    mask: env.actionMasks === null ? null : [...env.actionMasks.subarray(i * choices, (i + 1) * choices)],
  };
}

/** What instance i shows over `steps` steps of actions that `seed` gives. */
function play(env: VectorEnvironment, i: number, steps: number, seed: number): unknown[] {
  const random = new Random(seed);
  return Array.from({ length: steps }, () => {
    void env.step(sameAction(env, random));
    return shown(env, i);
  });
}

const builtIn: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ...environmentDefinitions.map(({ id }) => [id, {}] as const),
  ["Taxi-v4", { actionMasks: true }],
];

describe.each(builtIn)("%s %o", (id, params) => {
  it("says that it offers snapshots", () => {
    expect(make(id, 1, params).spec.snapshots).toBe(true);
  });

  it("goes on from a snapshot bit for bit, in whichever instance, through ends of episodes", () => {
    const random = new Random(5);
    for (let round = 0; round < 12; round++) {
      const env = make(id, 3, params);
      void env.reset(Uint32Array.of(3 * round, 3 * round + 1, 3 * round + 2));
      play(env, 1, random.integer(40), 100 + round);
      const before = shown(env, 1) as { readonly seen: unknown; readonly mask: unknown };
      const snapshot = env.snapshot!(1) as Uint8Array;
      const kept = snapshot.slice();
      const once = play(env, 1, 250, round);
      void env.restore!(1, snapshot);
      expect(shown(env, 1)).toMatchObject({ seen: before.seen, mask: before.mask });
      expect(play(env, 1, 250, round)).toEqual(once);
      const other = make(id, 2, params);
      void other.reset(Uint32Array.of(77, 78));
      const undisturbed = shown(other, 1);
      void other.restore!(0, snapshot);
      expect(shown(other, 1)).toEqual(undisturbed);
      expect(play(other, 0, 250, round)).toEqual(once);
      expect(snapshot).toEqual(kept);
    }
  });

  it("refuses what is no snapshot of it", async () => {
    const env = make(id, 1, params);
    void env.reset(Uint32Array.of(1));
    const failure = await failureOf(() => env.restore!(0, (env.snapshot!(0) as Uint8Array).subarray(1)));
    expect(failure.code).toBe("SHAPE");
    expect(failure.message).toMatch(/^restore: expected snapshot \[\d+\], got \[\d+\]$/);
  });
});

describe("a snapshot restored with a seed", () => {
  it("has another future from each seed, the same from the same, and begins where the snapshot was taken", () => {
    const env = make("FrozenLake8x8-v1", 1);
    void env.reset(Uint32Array.of(4));
    play(env, 0, 5, 1);
    const snapshot = env.snapshot!(0) as Uint8Array;
    const start = shown(env, 0) as { readonly seen: unknown };
    const from = (seed: number): unknown[] => {
      void env.restore!(0, snapshot, seed);
      expect(shown(env, 0)).toMatchObject({ seen: start.seen });
      return play(env, 0, 60, 2);
    };
    const futures = Array.from({ length: 20 }, (_, seed) => JSON.stringify(from(seed)));
    expect(new Set(futures).size).toBe(20);
    expect(JSON.stringify(from(3))).toBe(futures[3]);
  });

  it("draws its next step from the probabilities of where it stands", () => {
    // Right of the start, down goes left, down or right with probability 1/3 each: tiles 0, 9 and 2 of the 8×8 map.
    const env = make("FrozenLake8x8-v1", 1, {});
    void env.reset(Uint32Array.of(1));
    while (env.observations[0] !== 1) void env.step(Int32Array.of(2));
    const snapshot = env.snapshot!(0) as Uint8Array;
    const counts = new Map<number, number>();
    for (let seed = 0; seed < 3000; seed++) {
      void env.restore!(0, snapshot, seed);
      void env.step(Int32Array.of(1));
      counts.set(env.observations[0], (counts.get(env.observations[0]) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([0, 2, 9]);
    // Four standard deviations of a binomial of 3000 and 1/3.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(2000 / 3));
  });
});

/** Drifts at random; its action pushes. Ends beyond ±6. */
class Drift implements Environment {
  private place = 0;
  private random = new Random(0);

  reset({ seed }: { readonly seed: number }): number[] {
    this.random = new Random(seed);
    this.place = this.random.between(-1, 1);
    return this.observe();
  }

  step(action: Action): StepResult {
    this.place += this.random.between(-1, 1) + (action === 1 ? 0.3 : -0.3);
    const terminated = Math.abs(this.place) > 6;
    return { observation: this.observe(), reward: -this.place, terminated, truncated: false };
  }

  actionMask(): number[] {
    return [this.place < 3 ? 1 : 0, this.place < 3 ? 0 : 1];
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify([this.place, this.random.state()]));
  }

  restore(snapshot: Uint8Array, { seed }: { readonly seed: number | null }): void {
    const [place, state] = JSON.parse(Buffer.from(snapshot).toString()) as [number, [0, 0, 0, 0]];
    this.place = place;
    this.random = seed === null ? Random.fromState(state) : new Random(seed);
  }

  private observe(): number[] {
    return [this.place, 1];
  }
}

/** The same, each answer about snapshots a promise. */
class SlowDrift extends Drift {
  override snapshot(): never {
    return Promise.resolve(super.snapshot()) as never;
  }

  override restore(snapshot: Uint8Array, options: { readonly seed: number | null }): never {
    return Promise.resolve().then(() => super.restore(snapshot, options)) as never;
  }
}

const DRIFT = specOf({ id: "Drift", snapshots: true, actionMasks: true, maxEpisodeSteps: 30 });

describe.each([
  ["at once", () => new Drift()],
  ["later", () => new SlowDrift()],
])("a user's environment that answers %s", (_, create) => {
  it("goes on from a snapshot bit for bit, its time limit and its next episodes too", async () => {
    for (let round = 0; round < 10; round++) {
      const env = vectorizeEnvironment(DRIFT, create, 2);
      void env.reset(Uint32Array.of(round, 50 + round));
      play(env, 1, 3 * round, 9);
      const before = shown(env, 1) as { readonly seen: unknown; readonly mask: unknown };
      const snapshot = await env.snapshot!(1);
      const once = play(env, 1, 90, round);
      for (const i of [1, 0]) {
        await env.restore!(i, snapshot);
        expect(shown(env, i)).toMatchObject({ ...before, reward: expect.any(Number) as number });
        expect(play(env, i, 90, round)).toEqual(once);
      }
    }
  });

  it("draws its future anew from a seed", async () => {
    const env = vectorizeEnvironment(DRIFT, create, 1);
    void env.reset(Uint32Array.of(1));
    const snapshot = await env.snapshot!(0);
    const from = async (seed: number | null): Promise<string> => {
      await env.restore!(0, snapshot, seed);
      return JSON.stringify(play(env, 0, 20, 1));
    };
    const futures = [await from(null), await from(1), await from(2)];
    expect(new Set(futures).size).toBe(3);
    expect(await from(2)).toBe(futures[2]);
  });
});

describe("a user's environment", () => {
  it("answers about snapshots without a promise where it does so itself", () => {
    const env = vectorizeEnvironment(DRIFT, () => new Drift(), 1);
    void env.reset(Uint32Array.of(1));
    const snapshot = env.snapshot!(0);
    expect(snapshot).toBeInstanceOf(Uint8Array);
    expect(env.restore!(0, snapshot as Uint8Array)).toBeUndefined();
  });

  it("that fails in snapshot() or restore() is named, with how its episode came about", async () => {
    const boom = new Error("no way back");
    const failing = (): never => {
      throw boom;
    };
    const create = (changes: Partial<Environment>) => (): Environment => ({
      ...answering(fine),
      ...{ snapshot: () => Uint8Array.of(1), restore: () => undefined, ...changes },
    });
    const env = (changes: Partial<Environment>): VectorEnvironment => {
      const made = vectorizeEnvironment(specOf({ snapshots: true }), create(changes), 1);
      void made.reset(Uint32Array.of(8));
      void made.step(Int32Array.of(0));
      return made;
    };
    const atSnapshot = await failureOf(() => env({ snapshot: failing }).snapshot!(0));
    const whole = env({});
    const snapshot = whole.snapshot!(0) as Uint8Array;
    const atRestore = await failureOf(() => env({ restore: failing }).restore!(0, snapshot));
    for (const [method, failure] of Object.entries({ snapshot: atSnapshot, restore: atRestore })) {
      expect(failure.code).toBe("ENVIRONMENT_FAILED");
      expect(failure.message).toContain('environment "Walk", instance 0, step 1 of its episode');
      expect(failure.message).toContain(`${method}() threw "no way back"`);
      expect(failure.message).toContain("reset({ seed: 8 })");
      expect(failure.cause).toBe(boom);
    }
    const noBytes = await failureOf(() => env({ snapshot: () => "text" as never }).snapshot!(0));
    expect(noBytes.message).toContain(
      "snapshot() returned a wrong value: snapshot is 'text', expected a Uint8Array",
    );
    const short = await failureOf(() => whole.restore!(0, snapshot.subarray(0, 30)));
    expect(short.message).toBe(
      'restore: expected a snapshot of environment "Walk", at least 32 bytes, got 30',
    );
    let broken = false;
    const later = env({ step: () => (broken ? failing() : fine) });
    await later.restore!(0, snapshot, 5);
    broken = true;
    const afterwards = await failureOf(() => later.step(Int32Array.of(0)));
    expect(afterwards).toBeInstanceOf(InstanceFailures);
    expect(afterwards.message).toContain(
      "began with reset({ seed: 8 }) and went on from its step 1 with restore(…, { seed: 5 }).",
    );
  });

  it("must promise snapshots and have both methods, or neither", async () => {
    const messages = async (promised: boolean, create: () => Environment): Promise<string> =>
      (await failureOf(() => vectorizeEnvironment(specOf({ snapshots: promised }), create, 1))).message;
    const both = { snapshot: () => Uint8Array.of(), restore: () => undefined };
    const half = { snapshot: both.snapshot };
    expect(await messages(false, () => ({ ...answering(fine), ...both }))).toContain(
      "there is a method snapshot(), but the environment's description does not say snapshots: true",
    );
    expect(await messages(true, () => ({ ...answering(fine), ...half }))).toContain(
      "says snapshots: true, but there is no method restore()",
    );
    const without = vectorizeEnvironment(specOf(), () => new Walk(), 1);
    void without.reset(Uint32Array.of(1));
    expect((await failureOf(() => without.snapshot!(0))).message).toContain(
      "it offers no snapshots; say snapshots: true in its description",
    );
  });

  it("promises them in its description", async () => {
    const describing = (snapshots: unknown) => () =>
      defineEnvironment({
        ...{ id: "Drift", observationSpace: box([2], -9, 9), actionSpace: discrete(2), actionMasks: true },
        ...{ create: () => new Drift(), snapshots: snapshots as boolean },
      });
    expect(describing(true)().spec({}).snapshots).toBe(true);
    expect((await failureOf(describing("yes"))).message).toContain(
      "snapshots must be true or false, got 'yes'",
    );
  });
});
