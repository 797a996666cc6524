/** Numbers that environments give with steps and at the end of episodes. */
import { describe, expect, it } from "vitest";
import { defineEnvironment } from "../../core/env/define.js";
import type { Action, Environment, StepResult } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { assembleBatch } from "../../core/slots/batch.js";
import { EVALUATED, OF_REFERENCE } from "../../core/slots/check.js";
import { Random } from "../../core/random.js";
import { randomRollout } from "../recipes/fixture.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

/** Says with every step which way it went, and at the end how often it went up; nothing where it never did. */
class Talkative implements Environment {
  private readonly walk: Walk;
  private ups = 0;

  constructor(private readonly reach: number) {
    this.walk = new Walk(reach);
  }

  reset(options: { readonly seed: number }): number[] {
    this.ups = 0;
    return this.walk.reset(options);
  }

  step(action: Action): StepResult {
    if (action === 1) this.ups++;
    const counters = { ups: this.ups === 0 ? NaN : this.ups, reach: this.reach };
    return { ...this.walk.step(action), extras: { way: action === 1 ? 1 : -1 }, counters };
  }
}

class SlowTalkative extends Talkative {
  override step(action: Action): never {
    return Promise.resolve(super.step(action)) as never;
  }
}

const TALKATIVE = specOf({ stepExtras: ["way"], counters: ["ups", "reach"], maxEpisodeSteps: 6 });

describe("numbers of a user's environment", () => {
  it.each([
    ["at once", () => new Talkative(3)],
    ["later", () => new SlowTalkative(3)],
  ])("are those of each instance, at ends of either kind (answered %s)", async (_, create) => {
    const count = 4;
    const env = vectorizeEnvironment(TALKATIVE, create, count);
    await env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    const random = new Random(1);
    const ups = new Array<number>(count).fill(0);
    const ends = { terminated: 0, truncated: 0, nothing: 0 };
    for (let t = 0; t < 200; t++) {
      const actions = Int32Array.from({ length: count }, () => random.integer(2));
      await env.step(actions);
      for (let i = 0; i < count; i++) {
        ups[i]! += actions[i]!;
        expect(env.stepExtras["way"]![i]).toBe(actions[i] === 1 ? 1 : -1);
        if (env.terminated[i] === 0 && env.truncated[i] === 0) continue;
        expect(env.counters["ups"]![i]).toBe(ups[i] === 0 ? NaN : ups[i]);
        expect(env.counters["reach"]![i]).toBe(3);
        ends[env.terminated[i] === 1 ? "terminated" : "truncated"]++;
        if (ups[i] === 0) ends.nothing++;
        ups[i] = 0;
      }
    }
    expect(Math.min(...Object.values(ends))).toBeGreaterThan(3);
  });

  it("are none where the description names none", () => {
    const env = vectorizeEnvironment(specOf(), () => new Walk(), 2);
    expect([env.stepExtras, env.counters]).toEqual([{}, {}]);
  });

  const end = { ...fine, terminated: true };
  const counted = { ...end, extras: { way: 1 } };
  const steps = "{ way }, as the environment's description says under stepExtras";
  const episodes = "{ ups, reach }, as the environment's description says under counters";
  it.each([
    ["no extras", fine, `extras is undefined, expected ${steps}`],
    ["extras that are null", { ...fine, extras: null }, `extras is null, expected ${steps}`],
    [
      "a missing extra",
      { ...fine, extras: {} },
      "extras.way is undefined, expected a number finite in float32.",
    ],
    ["an unknown extra", { ...fine, extras: { way: 1, wey: 2 } }, `extras.wey is 2, expected ${steps}`],
    [
      "an extra that is NaN",
      { ...fine, extras: { way: NaN } },
      "extras.way is NaN, expected a number finite",
    ],
    [
      "an extra beyond float32",
      { ...fine, extras: { way: 1e300 } },
      "extras.way is 1e+300, expected a number",
    ],
    ["text as an extra", { ...fine, extras: { way: "1" } }, "extras.way is '1', expected a number finite"],
    ["no counters", counted, `counters is undefined, expected ${episodes}`],
    [
      "a missing counter",
      { ...counted, counters: { ups: NaN } },
      "counters.reach is undefined, expected a number finite in float32, or NaN for nothing to count.",
    ],
    [
      "an infinite counter",
      { ...counted, counters: { ups: 1, reach: Infinity } },
      "counters.reach is Infinity, expected a number finite in float32",
    ],
    [
      "an unknown counter",
      { ...counted, counters: { ups: 1, reach: 2, downs: 3 } },
      `counters.downs is 3, expected ${episodes}`,
    ],
  ])("are refused for %s", async (_, result, complaint) => {
    const env = vectorizeEnvironment(TALKATIVE, () => answering(result), 1);
    void env.reset(Uint32Array.of(3));
    const failure = await failureOf(() => env.step(Int32Array.of(0)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain(`step() returned a wrong value: ${complaint}`);
  });

  it("are refused where the description names none", async () => {
    const env = vectorizeEnvironment(specOf(), () => answering({ ...fine, extras: { way: 1 } }), 1);
    void env.reset(Uint32Array.of(3));
    const failure = await failureOf(() => env.step(Int32Array.of(0)));
    expect(failure.message).toContain("extras.way is 1, expected none, as the environment's description");
  });
});

describe("the names of such numbers", () => {
  const define = (changes: object) =>
    defineEnvironment({
      ...{ id: "Talkative", observationSpace: box([2], -9, 9), actionSpace: discrete(2) },
      ...{ create: () => new Talkative(3), ...changes },
    });

  it("are those of the description, none by default", () => {
    const names = { stepExtras: ["way", "a.b_c-9"], counters: ["ups", "reach"] };
    expect(define(names).spec({})).toMatchObject(names);
    expect(define({}).spec({})).toMatchObject({ stepExtras: [], counters: [], anchorObservations: false });
    expect(define({ anchorObservations: true }).spec({})).toMatchObject({ anchorObservations: true });
  });

  it.each([
    ["a text", "way"],
    ["a number among them", [1]],
    ["an empty one", [""]],
    ["one with a space", ["a way"]],
    ["one that begins with no letter", ["__proto__"]],
    ["a long one", ["a".repeat(65)]],
    ["the same twice", ["way", "way"]],
  ])("are refused for %s", async (_, names) => {
    for (const field of ["stepExtras", "counters"]) {
      const failure = await failureOf(() => define({ [field]: names }));
      expect(failure.message).toContain(
        `defineEnvironment("Talkative"): ${field} must be a list of different`,
      );
    }
  });

  it("are refused where batches have such a column already", async () => {
    const rollout = randomRollout(new Random(1));
    const counters = ["episodeReturn", "episodeLength", "branchAt", "branchNumber", "bootstrapValues"];
    const batch = assembleBatch([rollout]);
    const columns = {
      stepExtras: [
        ...Object.keys(batch.step),
        ...["anchor", ...Object.values(EVALUATED), ...Object.values(OF_REFERENCE)],
      ],
      counters: [...Object.keys(batch.row), ...counters],
    };
    for (const [field, names] of Object.entries(columns)) {
      for (const name of names) {
        const failure = await failureOf(() => define({ [field]: [name] }));
        expect(failure.message).toContain(`${field} must be a list of different names`);
      }
    }
  });
});
