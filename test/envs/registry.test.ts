import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { environmentDefinitions, findEnvironment, loadEnvironment } from "../../envs/index.js";
import { sample } from "./goldens.js";
import { failureOf } from "./helpers.js";

const here = fileURLToPath(new URL(".", import.meta.url));

function load(id: string, module: string | null, params: Record<string, unknown> = {}) {
  return loadEnvironment({ id, module: module === null ? null : `fixtures/${module}`, params }, here);
}

describe("the built-in environments", () => {
  it("have those recorded from Gymnasium among them, and each id once, the same everywhere", () => {
    const ids = environmentDefinitions.map((d) => d.id);
    expect(ids).toEqual(expect.arrayContaining(Object.keys(sample.specs)));
    expect(new Set(ids).size).toBe(ids.length);
    expect(environmentDefinitions.map((d) => d.spec(d.params.parse({})).id)).toEqual(ids);
  });

  it("are found by id, and an unknown id is met with the nearest one", () => {
    expect(findEnvironment("Taxi-v4").id).toBe("Taxi-v4");
    const wrong = (): unknown => findEnvironment("CartPol-v1");
    expect(wrong).toThrow(expect.objectContaining({ code: "ENVIRONMENT_UNKNOWN" }) as Error);
    expect(wrong).toThrow('no built-in environment "CartPol-v1". Did you mean "CartPole-v1"?');
  });

  it("load with their parameters", async () => {
    const dry = await load("FrozenLake-v1", null, { slippery: false });
    expect(dry.spec.maxEpisodeSteps).toBe(100);
    // Down from the start of the 4×4 lake is state 4, certainly so without slipping.
    const env = dry.vectorize(50);
    await env.reset(Uint32Array.from({ length: 50 }, (_, i) => i));
    await env.step(new Int32Array(50).fill(1));
    expect(new Set(env.observations)).toEqual(new Set([4]));
    const slippery = (await load("FrozenLake-v1", null)).vectorize(50);
    await slippery.reset(Uint32Array.from({ length: 50 }, (_, i) => i));
    await slippery.step(new Int32Array(50).fill(1));
    expect(new Set(slippery.observations)).toEqual(new Set([0, 1, 4]));
  });

  it("refuse parameters they do not have or of the wrong kind, naming the key of the run file", async () => {
    const unknownKey = await failureOf(() => load("FrozenLake-v1", null, { slipery: true }));
    expect(unknownKey.code).toBe("CONFIG_INVALID");
    expect(unknownKey.message).toContain(
      'unknown key "environment.params.slipery". Did you mean "slippery"?',
    );
    const wrongKind = await failureOf(() => load("Blackjack-v1", null, { sab: "yes" }));
    expect(wrongKind.message).toContain("environment.params.sab: expected boolean");
    const none = await failureOf(() => load("CartPole-v1", null, { gravity: 1 }));
    expect(none.message).toContain('unknown key "environment.params.gravity"');
  });
});

describe("an environment from a user's module", () => {
  it.each([
    ["the only one, as default export, without an id", "", "default-one.ts", "One-v0"],
    ["one of two in an array, by id", "Two-v0", "named-two.ts", "Two-v0"],
    ["one exported as environment, by id", "Three-v0", "named-two.ts", "Three-v0"],
  ])("loads: %s", async (_, id, module, expected) => {
    const loaded = await load(id, module, { start: 5 });
    expect(loaded.spec.id).toBe(expected);
    const env = loaded.vectorize(2);
    await env.reset(Uint32Array.of(1, 2));
    await env.step(Int32Array.of(1, 0));
    expect([...env.observations]).toEqual([6, 5]);
  });

  it.each([
    ["is not there", "", "no-such-file.mjs", ["no-such-file.mjs cannot be loaded", "path of an ES module"]],
    ["throws while it loads", "", "broken.ts", ["broken.ts cannot be loaded: licence expired"]],
    [
      "exports no environment",
      "",
      "nothing.ts",
      ["exports answer, environment, but no", "defineEnvironment()"],
    ],
    [
      "exports several and no id is given",
      "",
      "named-two.ts",
      ["set environment.id to one of Two-v0, Three-v0"],
    ],
    ["has another id", "Tow-v0", "named-two.ts", ['no environment "Tow-v0". Did you mean "Two-v0"?']],
    [
      "has one of another id",
      "Won-v0",
      "default-one.ts",
      ['no environment "Won-v0". Did you mean "One-v0"?'],
    ],
  ])("is refused where the module %s", async (_, id, module, parts) => {
    const failure = await failureOf(() => load(id, module));
    expect(failure.code).toBe("ENVIRONMENT_UNKNOWN");
    for (const part of parts) expect(failure.message).toContain(part);
  });

  it("keeps what the module threw as the cause", async () => {
    const failure = await failureOf(() => load("", "broken.ts"));
    expect((failure.cause as Error).message).toBe("licence expired");
  });

  it("has its parameters checked like a built-in one", async () => {
    const failure = await failureOf(() => load("", "default-one.ts", { start: [1] }));
    expect(failure.code).toBe("CONFIG_INVALID");
    expect(failure.message).toContain(
      "environment.params.start: expected a string, a number, true or false, got [1]",
    );
  });
});
