import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PACKAGE, Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

/** Runs a command that must fail; returns everything it said. */
async function failure(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await place.run(...args);
  expect(code).toBe(1);
  return stdout + stderr;
}

describe("a run file that cannot run is refused before anything is started", () => {
  const cases: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    ["an unknown key", { stop: { envStep: 5 } }, /unknown key "stop\.envStep"\. Did you mean "envSteps"\?/],
    ["a value out of range", { actors: { threads: 0 } }, /actors\.threads: .*>=1, got 0/],
    [
      "an unknown environment",
      { environment: { id: "CartPol-v1" } },
      /no built-in environment "CartPol-v1"\. Did you mean "CartPole-v1"\?/,
    ],
    ["an unknown recipe", { recipe: { id: "pppo" } }, /no recipe "pppo"\. Did you mean "ppo"\?/],
    [
      "an unknown recipe parameter",
      { recipe: { params: { gama: 1 } } },
      /unknown key "recipe\.params\.gama"\. Did you mean "gamma"\?/,
    ],
    [
      "a recipe parameter out of range",
      { recipe: { params: { gamma: 2 } } },
      /recipe\.params\.gamma: .*<=1, got 2/,
    ],
    [
      "an unknown environment parameter",
      { environment: { id: "FrozenLake-v1", params: { slipery: true } } },
      /environment\.params\.slipery/,
    ],
    [
      "a batch that no fixed order can fill",
      { deterministic: true, recipe: { params: { batchSteps: 300 } } },
      /batchSteps: expected .*\(256\).*got 300/,
    ],
  ];
  it.each(cases)("%s", async (_, change, message) => {
    await place.runFile(change);
    const said = await failure("train", "run.yaml");
    expect(said).toMatch(message);
    expect(said.trim().split("\n")).toHaveLength(1);
    expect(await place.runFolders()).toEqual([]);
  });

  it("a run file that is not there, or not YAML, or empty", async () => {
    expect(await failure("train", "none.yaml")).toMatch(/cannot read run file none\.yaml/);
    await place.write("bad.yaml", "a: [1");
    expect(await failure("train", "bad.yaml")).toMatch(/bad\.yaml: not valid YAML/);
    await place.write("empty.yaml", "");
    expect(await failure("train", "empty.yaml")).toMatch(/expected a mapping of settings, got nothing/);
  });

  it("a --set without a value, or of an unknown key", async () => {
    await place.runFile();
    expect(await failure("train", "run.yaml", "--set", "run.seed")).toMatch(/expected key=value/);
    expect(await failure("train", "run.yaml", "--set", "run.sed=4")).toMatch(
      /unknown key "run\.sed"\. Did you mean "seed"\?/,
    );
  });
});

describe("a port in use", () => {
  it("of any service ends the command with one message that names it", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    try {
      await place.runFile();
      for (const key of [
        "coordinator.address",
        "learner.address",
        "learner.http",
        "actors.http",
        "coordinator.http",
      ]) {
        const said = await failure("train", "run.yaml", "--set", `${key}=${address}`);
        expect(said, key).toContain(address);
        expect(said, key).toMatch(/in use/);
      }
    } finally {
      taken.close();
    }
  });
});

describe("checkpoints", () => {
  it("that are damaged or of another model are refused and left as they were; one before them is gone on from", async () => {
    await place.runFile({ stop: { envSteps: 3000 } });
    expect((await place.run("train", "run.yaml", "--json")).code).toBe(0);
    const [folder] = await place.runFolders();
    const [name, ...older] = (await place.list(folder!, "checkpoints")).reverse();
    const path = join(place.folder, folder!, "checkpoints", name!);
    for (const other of older) await rm(join(place.folder, folder!, "checkpoints", other));
    const whole = await readFile(path);

    const otherModel = await failure(
      "train",
      "run.yaml",
      "--resume",
      folder!,
      "--set",
      "model.hidden=[32]",
      "--set",
      "stop.envSteps=9000",
    );
    expect(otherModel).toMatch(
      /model: expected .*"hidden":\[16\].* as in the books.*, got .*"hidden":\[32\]/,
    );

    await writeFile(path, whole.subarray(0, whole.length - 100));
    for (const args of [
      ["train", "run.yaml", "--resume", folder!],
      ["eval", folder!],
      ["export", folder!, "--out", "x.safetensors"],
    ]) {
      expect(await failure(...args)).toMatch(/truncated/);
    }
    expect(await place.list()).not.toContain("x.safetensors");

    await writeFile(path, whole);
    expect((await place.run("eval", folder!, "--episodes", "3")).stdout).toMatch(
      /mean return .* over 3 episodes/,
    );
    await copyFile(path, join(place.folder, "mine.safetensors"));

    await writeFile(path.replace(/\d+(?=\.safetensors$)/, "99999999"), whole.subarray(0, 1000));
    const resumed = await place.run("train", "run.yaml", "--resume", folder!);
    expect(resumed.code).toBe(0);
    expect(resumed.stdout + resumed.stderr).toMatch(/truncated.*going on from the one before it/);
    expect((await place.run("export", "mine.safetensors", "--out", "x.safetensors")).code).toBe(0);
    expect(await place.list()).toContain("x.safetensors");
  });

  it("that are not there are said to be missing", async () => {
    await place.runFile();
    expect(await failure("train", "run.yaml", "--resume")).toMatch(/no folder .* with a checkpoint/);
    expect(await failure("train", "run.yaml", "--resume", "nowhere")).toMatch(
      /expected a run folder, got nothing of that name/,
    );
    expect(await failure("eval", "nowhere")).toMatch(/expected a checkpoint or a run folder/);
  });
});

describe("an environment that misbehaves ends the run with one message", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["throws in step", "throw new Error('door stuck')", /door stuck/],
    ["throws in reset", "reset-throws", /no key/],
    [
      "returns NaN",
      "return { observation: [NaN, 0], reward: 0, terminated: false, truncated: false }",
      /observation.*NaN|finite/s,
    ],
    [
      "returns a NaN reward",
      "return { observation: [0, 0], reward: NaN, terminated: false, truncated: false }",
      /reward/,
    ],
    [
      "returns a wrong shape",
      "return { observation: [0], reward: 0, terminated: false, truncated: false }",
      /2.*1|shape|length/s,
    ],
  ];
  it.each(cases)("%s", async (_, step, message) => {
    const reset = step === "reset-throws" ? "() => { throw new Error('no key'); }" : "() => [0, 0]";
    await place.write(
      "bad.mjs",
      `import { box, defineEnvironment, discrete } from ${JSON.stringify(PACKAGE)};
       export default defineEnvironment({
         id: "Bad-v0", observationSpace: box([2], -1, 1), actionSpace: discrete(2),
         create: () => ({ reset: ${reset}, step: () => { ${step === "reset-throws" ? "" : step} } }),
       });`,
    );
    await place.runFile({ environment: { id: "Bad-v0", module: "./bad.mjs" } });
    const { code, events, stderr } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(1);
    expect(stderr).toBe("");
    const errors = events.filter((event) => event.event === "notice" && event.level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: "ENVIRONMENT_FAILED" });
    expect((errors[0] as { message: string }).message).toMatch(message);
    expect((errors[0] as { message: string }).message).toContain("Bad-v0");
    expect(events[events.length - 1]).toMatchObject({ event: "finished", reason: "failed" });
  });
});
