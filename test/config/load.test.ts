import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { applyOverride, loadRunConfig, parseRunConfig } from "../../core/config/load.js";
import { SkeinError } from "../../core/errors.js";

const MINIMAL = { environment: { id: "CartPole-v1" } };

/** The message of the CONFIG_INVALID that `act` throws. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error;
    expect(error.code).toBe("CONFIG_INVALID");
    return error.message;
  }
  throw new Error("expected a refusal");
}

const refused = (change: object): string =>
  refusal(() => parseRunConfig({ ...MINIMAL, ...change }, "run.yaml"));

describe("a run file", () => {
  it("needs an environment and nothing else; the rest has defaults", () => {
    expect(parseRunConfig(MINIMAL, "run.yaml")).toEqual({
      run: { name: "run", seed: 1, folder: "runs" },
      environment: { id: "CartPole-v1", module: null, params: {} },
      recipe: { id: "ppo", params: {}, modifiers: [] },
      reference: null,
      model: {
        ...{ kind: "mlp", hidden: [64, 64], distribution: "gaussian", components: 5 },
        ...{ critic: true, postDecisionCritic: false },
      },
      engine: "auto",
      actors: {
        ...{ processes: 1, threads: 1, environments: 8, fragmentSteps: 128, maxRestarts: 10 },
        ...{ unsettledBytes: 536_870_912, http: "127.0.0.1:0" },
      },
      groups: null,
      learner: {
        ...{ address: "127.0.0.1:0", advertise: null, engineThreads: 0 },
        ...{ checkpointEvery: 20, keepCheckpoints: 3, ack: "onTrain", maxRestarts: 3 },
        http: "127.0.0.1:0",
      },
      coordinator: {
        ...{ address: "127.0.0.1:0", heartbeatSeconds: 1, leaseSeconds: 5, http: "127.0.0.1:0" },
        quarantineAfter: 3,
      },
      transport: {
        ...{ kind: "grpc", deadlineSeconds: 15, keepaliveSeconds: 10, reconnectSeconds: 60, credits: 4 },
        ...{ chunkBytes: 262_144, maxMessageBytes: 268_435_456 },
        nats: { url: null, maxBytes: 4_294_967_296, replicas: 1 },
      },
      weights: { deltas: true, anchorEvery: 20, fanOut: 4, relayAddress: "127.0.0.1:0" },
      security: { tls: null, tokenFile: null, maxCallsPerSecond: 10_000 },
      watchdog: { seconds: 600 },
      staleness: { maxPolicyLag: 1 },
      stop: { envSteps: 1_000_000, meanReturn: null, wallSeconds: null },
      deterministic: false,
      logLevel: "info",
    });
    expect(refusal(() => parseRunConfig({}, "run.yaml"))).toBe(
      "run.yaml: environment: expected object, got nothing",
    );
  });

  it("gives each kind of network its own defaults", () => {
    const modelOf = (kind: string): unknown =>
      parseRunConfig({ ...MINIMAL, model: { kind } }, "run.yaml").model;
    expect(modelOf("cnn")).toEqual({
      ...{ kind: "cnn", convolutions: [{ channels: 16, kernel: 3, stride: 1 }], hidden: [128] },
      distribution: "gaussian",
      components: 5,
      critic: true,
    });
    expect(modelOf("gru")).toEqual({
      kind: "gru",
      hidden: [64],
      units: 64,
      distribution: "gaussian",
      components: 5,
      critic: true,
    });
    expect(modelOf("transformer")).toEqual({
      ...{ kind: "transformer", layers: 2, width: 64, heads: 4, feedForward: 128 },
      ...{ norm: "rms", activation: "swiglu", distribution: "gaussian", components: 5, critic: true },
    });
    const { model } = parseRunConfig(applyOverride(MINIMAL, "model.hidden=[32]"), "run.yaml");
    expect(model).toMatchObject({ kind: "mlp", hidden: [32], distribution: "gaussian", critic: true });
  });

  it("is immutable once parsed, all the way down", () => {
    const config = parseRunConfig({ ...MINIMAL, recipe: { params: { list: [{ a: 1 }] } } }, "run.yaml");
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(config)).toBe(true);
    expect(() => Object.assign(config.model, { kind: "cnn" })).toThrow(TypeError);
  });

  it("parses to itself, so that a resolved run file is a run file", () => {
    const once = parseRunConfig({ ...MINIMAL, deterministic: true, stop: { meanReturn: 5 } }, "run.yaml");
    expect(parseRunConfig(JSON.parse(JSON.stringify(once)), "run.yaml")).toEqual(once);
  });

  it.each([
    [{ actor: {} }, 'unknown key "actor". Did you mean "actors"?'],
    [{ actors: { procesess: 2 } }, 'unknown key "actors.procesess". Did you mean "processes"?'],
    [{ stop: { meanreturn: 2 } }, 'unknown key "stop.meanreturn". Did you mean "meanReturn"?'],
    [{ run: { zzzzzzzzzzzzz: 2 } }, 'unknown key "run.zzzzzzzzzzzzz". Known: folder, name, seed.'],
    [{ model: { hiden: [8] } }, 'unknown key "model.hiden". Did you mean "hidden"?'],
    [{ model: { kind: "gru", unit: 8 } }, 'unknown key "model.unit". Did you mean "units"?'],
    [
      { model: { kind: "cnn", heads: 2 } },
      'unknown key "model.heads". Known: components, convolutions, critic, distribution, hidden, kind.',
    ],
    [{ environment: { id: "x", param: {} } }, 'unknown key "environment.param". Did you mean "params"?'],
  ])("refuses an unknown key and names the nearest known one: %o", (change, message) => {
    expect(refused(change)).toBe(`run.yaml: ${message}`);
  });

  it.each([
    [{ run: { seed: "seven" } }, 'run.seed: expected number, got "seven"'],
    [{ run: { seed: 1.5 } }, "run.seed: expected int, got 1.5"],
    [{ run: { seed: -1 } }, "run.seed: Too small: expected number to be >=0, got -1"],
    [{ run: { seed: 2 ** 32 } }, "run.seed: Too big: expected number to be <=4294967295, got 4294967296"],
    [
      { run: { name: "a b" } },
      "run.name: expected letters, digits, '.', '_' or '-' (64 at most), got \"a b\"",
    ],
    [{ actors: null }, "actors: expected object, got null"],
    [{ actors: { threads: 0 } }, "actors.threads: Too small: expected number to be >=1, got 0"],
    [{ actors: { threads: 65 } }, "actors.threads: Too big: expected number to be <=64, got 65"],
    [{ model: { hidden: [] } }, "model.hidden: Too small: expected array to have >=1 items, got []"],
    [{ model: { hidden: [64, 0] } }, "model.hidden.1: Too small: expected number to be >=1, got 0"],
    [{ model: 7 }, "model: expected object, got 7"],
    [
      { model: { kind: "lstm" } },
      'model.kind: Invalid option: expected one of "mlp"|"cnn"|"gru"|"transformer", got "lstm"',
    ],
    [
      { model: { kind: "transformer", width: 12, heads: 4 } },
      "model.width: expected a multiple of 2 · model.heads (8), got 12",
    ],
    [
      { model: { kind: "cnn", convolutions: [{ channels: 4, kernel: 3 }] } },
      "model.convolutions.0.stride: expected number, got nothing",
    ],
    [
      { engine: "torch" },
      'engine: Invalid option: expected one of "auto"|"onnx:cpu"|"onnx:cuda"|"onnx:webgpu"|' +
        '"tfjs:tensorflow"|"tfjs:wasm", got "torch"',
    ],
    [{ deterministic: "yes" }, 'deterministic: expected boolean, got "yes"'],
    [{ stop: { meanReturn: NaN } }, "stop.meanReturn: expected number, got NaN"],
    [{ stop: { meanReturn: -Infinity } }, "stop.meanReturn: expected number, got -Infinity"],
    [
      { learner: { address: "nowhere" } },
      'learner.address: expected host:port (port 0 = any free one), got "nowhere"',
    ],
    [{ learner: { address: "a:65536" } }, 'learner.address: expected a port of at most 65535, got "a:65536"'],
  ])("refuses a wrong value and says what it expected and got: %o", (change, message) => {
    expect(refused(change)).toContain(message);
  });

  it("lists every complaint at once", () => {
    const message = refused({ run: { seed: -1, nmae: "x" }, actors: { threads: 0 } });
    expect(message).toMatch(/^run\.yaml: .*run\.seed.*; .*run\.nmae.*; .*actors\.threads/);
  });

  it("refuses fields that contradict one another, and takes them at the very edge", () => {
    const lease = { coordinator: { heartbeatSeconds: 3, leaseSeconds: 5.9 } };
    expect(refused(lease)).toBe(
      "run.yaml: coordinator.leaseSeconds: expected at least twice coordinator.heartbeatSeconds (3), got 5.9",
    );
    expect(
      parseRunConfig({ ...MINIMAL, coordinator: { heartbeatSeconds: 3, leaseSeconds: 6 } }, "x").coordinator
        .leaseSeconds,
    ).toBe(6);
    expect(refused({ deterministic: true, staleness: { maxPolicyLag: 0 } })).toBe(
      "run.yaml: staleness.maxPolicyLag: expected 1 with deterministic: true (exactly one version behind), got 0",
    );
    expect(refused({ deterministic: true, groups: { size: 4, tasks: 2 } })).toBe(
      "run.yaml: groups: expected null with deterministic: true (which seat plays a member is not fixed), got groups",
    );
    expect(refused({ deterministic: true, stop: { wallSeconds: 60 } })).toBe(
      "run.yaml: stop.wallSeconds: expected null with deterministic: true (a clock is not deterministic), got 60",
    );
    const loose = { ...MINIMAL, staleness: { maxPolicyLag: 0 }, stop: { wallSeconds: 60 } };
    expect(parseRunConfig(loose, "x").deterministic).toBe(false);
  });
});

describe("--set", () => {
  it.each([
    ["run.seed=3", { run: { seed: 3 } }],
    ["run.name=abc", { run: { name: "abc" } }],
    ["a.b.c.d=true", { a: { b: { c: { d: true } } } }],
    ["x=", { x: null }],
    ["x=null", { x: null }],
    ["x='3'", { x: "3" }],
    ["x=[1, 2.5, a]", { x: [1, 2.5, "a"] }],
    ["x={p: 1, q: [2]}", { x: { p: 1, q: [2] } }],
    ["x=127.0.0.1:80", { x: "127.0.0.1:80" }],
    ["x=a=b", { x: "a=b" }],
    [" x =1", { x: 1 }],
  ])("%s sets a value read as YAML", (assignment, expected) => {
    expect(applyOverride({}, assignment)).toEqual(expected);
  });

  it("changes one path, leaves the rest and never what it was given", () => {
    const tree = { run: { seed: 1, name: "a" }, stop: { envSteps: 5 } };
    const before = structuredClone(tree);
    expect(applyOverride(tree, "run.seed=2")).toEqual({ run: { seed: 2, name: "a" }, stop: { envSteps: 5 } });
    expect(tree).toEqual(before);
  });

  it("makes room where a value or a list stood", () => {
    expect(applyOverride({ a: 1, b: [2] }, "a.x=1")).toEqual({ a: { x: 1 }, b: [2] });
    expect(applyOverride({ a: 1, b: [2] }, "b.x=1")).toEqual({ a: 1, b: { x: 1 } });
  });

  it.each(["", "run.seed", "=3", "run..seed=3", ".seed=3", "run.=3"])(
    'refuses "%s", saying how to write it',
    (text) => {
      expect(refusal(() => applyOverride({}, text))).toBe(
        `--set: expected key=value, for instance run.seed=3, got "${text}"`,
      );
    },
  );

  it("refuses a value that is no YAML", () => {
    expect(refusal(() => applyOverride({}, "x=[1"))).toMatch(/^--set x=\[1: not valid YAML: /);
  });
});

describe("reading a run file", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "skein-config-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function file(name: string, text: string): Promise<string> {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  }

  async function rejection(promise: Promise<unknown>): Promise<string> {
    const error = await promise.then(
      () => new Error("expected a refusal"),
      (thrown: unknown) => thrown,
    );
    return refusal(() => {
      throw error;
    });
  }

  it("applies overrides in their order, the last one last", async () => {
    const path = await file("run.yaml", "environment:\n  id: CartPole-v1\nrun:\n  seed: 5\n");
    expect((await loadRunConfig(path)).run.seed).toBe(5);
    const config = await loadRunConfig(path, ["run.seed=6", "environment.params.size=4", "run.seed=7"]);
    expect(config.run.seed).toBe(7);
    expect(config.environment.params).toEqual({ size: 4 });
  });

  it("checks what the overrides made of it, and names the file", async () => {
    const path = await file("checked.yaml", "environment: { id: CartPole-v1 }\n");
    expect(await rejection(loadRunConfig(path, ["actors.thread=2"]))).toBe(
      `${path}: unknown key "actors.thread". Did you mean "threads"?`,
    );
  });

  it.each([
    ["a list", "- 1\n", "expected a mapping of settings, got object"],
    ["a word", "hello\n", "expected a mapping of settings, got string"],
    ["nothing", "# only a comment\n", "expected a mapping of settings, got nothing"],
    ["no YAML", "a: [1\n", "not valid YAML"],
  ])("refuses a file that holds %s", async (name, text, message) => {
    const path = await file(`${name.replace(" ", "-")}.yaml`, text);
    expect(await rejection(loadRunConfig(path))).toContain(`${path}: ${message}`);
  });

  it("says which file it cannot read", async () => {
    expect(await rejection(loadRunConfig(join(folder, "absent.yaml")))).toMatch(
      /^cannot read run file .*absent\.yaml: ENOENT/,
    );
  });
});

describe("an override of a key that every object inherits", () => {
  it("changes that run file alone", () => {
    applyOverride({}, "__proto__.polluted=1");
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});
