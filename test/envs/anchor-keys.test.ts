import { describe, expect, it } from "vitest";
import { joinAnchorTexts, splitAnchorTexts } from "../../core/anchor-texts.js";
import { defineEnvironment } from "../../core/env/define.js";
import type { Action, Environment, StepResult } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { Random } from "../../core/random.js";
import { answering, failureOf, fine, specOf, Walk } from "./helpers.js";

/** Observes its place and the time, which makes no two observations equal; the key is the place alone. */
class Named implements Environment {
  private place = 0;
  private time = 0;

  reset({ seed }: { readonly seed: number }): number[] {
    this.place = seed % 1000;
    this.time = 0;
    return [this.place, this.time];
  }

  step(action: Action): StepResult {
    this.place += action === 1 ? 1 : -1;
    return { observation: [this.place, ++this.time], reward: 0, terminated: false, truncated: false };
  }

  anchorKey(): string {
    return `at ${this.place}`;
  }

  snapshot(): Uint8Array {
    return new Uint8Array(Float64Array.of(this.place, this.time).buffer);
  }

  restore(snapshot: Uint8Array): void {
    const [place, time] = new Float64Array(new Uint8Array(snapshot).buffer);
    this.place = place!;
    this.time = time!;
  }
}

class SlowNamed extends Named {
  override anchorKey(): never {
    return Promise.resolve(super.anchorKey()) as never;
  }
}

const NAMED = specOf({ anchorKeys: true, snapshots: true, maxEpisodeSteps: 7 });

describe("anchor keys of a user's environment", () => {
  it.each([
    ["at once", () => new Named()],
    ["later", () => new SlowNamed()],
  ])(
    "name the state that each instance shows, through resets, ends and snapshots (answered %s)",
    async (_, create) => {
      const env = vectorizeEnvironment(NAMED, create, 3);
      const expectNames = (): void =>
        [0, 1, 2].forEach((i) => expect(env.anchorKeys![i]).toBe(`at ${env.observations[2 * i]!}`));
      await env.reset(Uint32Array.of(10, 20, 30));
      const random = new Random(1);
      for (let t = 0; t < 30; t++) {
        expectNames();
        await env.step(Int32Array.from({ length: 3 }, () => random.integer(2)));
      }
      const snapshot = await env.snapshot!(1);
      const before = env.anchorKeys![1];
      await env.step(Int32Array.of(1, 1, 1));
      await env.restore!(1, snapshot);
      expect(env.anchorKeys![1]).toBe(before);
      expectNames();
    },
  );

  it("are asked for without a promise where the environment answers at once, and null where it has none", () => {
    const env = vectorizeEnvironment(NAMED, () => new Named(), 2);
    expect(env.reset(Uint32Array.of(0, 1))).toBeUndefined();
    expect(env.step(Int32Array.of(1, 1))).toBeUndefined();
    expect(vectorizeEnvironment(specOf(), () => new Walk(), 2).anchorKeys).toBeNull();
  });

  it.each([
    ["a number", 7, "anchor key is 7, expected a text"],
    ["nothing", undefined, "anchor key is undefined, expected a text"],
    ["a text with U+0000", "a\u0000b", "anchor key is 'a\\x00b', expected a text without U+0000"],
    ["half a surrogate pair", "\ud83e", "anchor key is '\\ud83e', expected a text without U+0000 or halves"],
  ])("are refused where one is %s", async (_, key, complaint) => {
    const create = (): Environment => ({ ...answering(fine), anchorKey: () => key as string });
    const env = vectorizeEnvironment(specOf({ anchorKeys: true }), create, 1);
    const failure = await failureOf(() => env.reset(Uint32Array.of(8)));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain(`anchorKey() returned a wrong value: ${complaint}`);
  });

  it("must be both promised and given, or neither", async () => {
    const named = (): Environment => ({ ...answering(fine), anchorKey: () => "here" });
    const unpromised = await failureOf(() => vectorizeEnvironment(specOf(), named, 1));
    expect(unpromised.message).toContain("does not say anchorKeys: true");
    const missing = await failureOf(() =>
      vectorizeEnvironment(specOf({ anchorKeys: true }), () => answering(fine), 1),
    );
    expect(missing.message).toContain("there is no method anchorKey()");
    const definition = defineEnvironment({
      ...{ id: "Named", observationSpace: box([2], -9, 9), actionSpace: discrete(2) },
      ...{ anchorKeys: true, snapshots: true, create: () => new Named() },
    });
    expect(definition.spec({})).toMatchObject({ anchorKeys: true, snapshots: true });
  });
});

describe("the texts of a rollout's anchor keys", () => {
  it("come back from their bytes, empty ones and any characters too", () => {
    for (const texts of [["a"], [""], ["", "b"], ["\ufeffü", "\u{1f9f6} x", "\n", "", "z"]]) {
      expect(splitAnchorTexts(joinAnchorTexts(texts))).toEqual(texts);
    }
  });
});
