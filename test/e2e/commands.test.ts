import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCheckpoint } from "../../core/weights/checkpoint.js";
import { decodeSafetensors } from "../../core/weights/safetensors.js";
import { Workplace } from "./skein.js";

let place: Workplace;
let folder = "";
beforeAll(async () => {
  place = await Workplace.create();
  await place.runFile({ stop: { envSteps: 3000 } });
  expect((await place.run("train", "run.yaml", "--json")).code).toBe(0);
  folder = (await place.runFolders())[0]!;
});
afterAll(async () => {
  await place.clear();
});

describe("skein eval", () => {
  it("plays the episodes asked for, the same ones for the same seed", async () => {
    const report = async (...more: string[]): Promise<Record<string, unknown>> => {
      const { code, stdout } = await place.run("eval", folder, "--episodes", "120", "--json", ...more);
      expect(code).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const first = await report("--seed", "4");
    expect(first).toMatchObject({
      environment: "CartPole-v1",
      actions: "greedy",
      episodes: 120,
      policyVersion: 12,
    });
    expect(await report("--seed", "4")).toEqual(first);
    expect(await report("--seed", "5")).not.toEqual(first);
    expect(await report("--sample")).toMatchObject({ actions: "sampled", episodes: 120 });
  });
});

describe("skein inspect", () => {
  it("prints the books, the services and the weights of a run", async () => {
    const { code, stdout } = await place.run("inspect", folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\S+: finished, version 12 published/);
    expect(stdout).toContain("balanced: submitted = trained + stale + filtered + failed + in flight");
    expect(stdout).toMatch(/^learner\s+learner\s/m);
    expect(stdout).toMatch(/^version 12\s+(full|delta)\s/m);
    expect(stdout).not.toMatch(/^groups:/m);
  });

  it("prints what became of the groups of a run that has some", async () => {
    const grouped = await Workplace.create();
    try {
      await grouped.runFile({ stop: { envSteps: 3000 }, groups: { size: 4, tasks: 3 } });
      expect((await grouped.run("train", "run.yaml", "--json")).code).toBe(0);
      const { stdout } = await grouped.run("inspect", (await grouped.runFolders())[0]!);
      expect(stdout).toMatch(/^groups: \d+ open, [1-9][\d,]* sealed, \d+ void$/m);
      expect(stdout).toMatch(
        /^[\d,]+ episodes in [\d,]+ attempts at 3 tasks: mean return [\d.]+, mean length/m,
      );
    } finally {
      await grouped.clear();
    }
  });
});

describe("skein export", () => {
  it("writes the checkpoint's weights and nothing of the training state", async () => {
    expect((await place.run("export", folder, "--out", "policy.safetensors")).code).toBe(0);
    const name = (await place.list(folder, "checkpoints")).pop()!;
    const { weights } = await readCheckpoint(join(place.folder, folder, "checkpoints", name));
    const exported = decodeSafetensors(
      await readFile(join(place.folder, "policy.safetensors")),
      "policy.safetensors",
    );
    expect(exported.tensors).toEqual(weights.tensors);
    expect(JSON.parse(exported.metadata["description"]!)).toMatchObject({
      environment: "CartPole-v1",
      policyVersion: 12,
      model: { kind: "mlp", hidden: [16] },
    });
  });
});

describe("skein schema", () => {
  it("prints a JSON Schema in which every section and recipe is described", async () => {
    const { code, stdout } = await place.run("schema");
    expect(code).toBe(0);
    const schema = JSON.parse(stdout) as {
      properties: Record<string, { description?: string }>;
      $defs: object;
    };
    expect(Object.keys(schema.properties)).toContain("staleness");
    for (const section of Object.values(schema.properties)) expect(section.description).toMatch(/\S/);
    expect(JSON.stringify(schema.$defs)).toContain("clipEpsilon");
  });
});

describe("skein doctor", () => {
  it("finds the embedded engine working and says why native TensorFlow is not", async () => {
    const { code, stdout } = await place.run("doctor", "--json");
    expect(code).toBe(0);
    const { findings } = JSON.parse(stdout) as { findings: { check: string; ok: boolean; detail: string }[] };
    expect(findings.find(({ check }) => check === "engine tfjs:wasm")).toMatchObject({ ok: true });
    const native = findings.find(({ check }) => check === "engine tfjs:tensorflow");
    expect(native?.ok === true || /not installed/.test(native?.detail ?? "")).toBe(true);
  });
});

describe("the command line", () => {
  it("refuses unknown commands and options with help, not a stack", async () => {
    for (const args of [
      ["trian", "run.yaml"],
      ["train", "run.yaml", "--sead", "3"],
      ["train", "run.yaml", "--seed", "x"],
      ["train"],
    ]) {
      const { code, stderr } = await place.run(...args);
      expect(code).toBe(1);
      expect(stderr).toMatch(/error: /);
      expect(stderr).not.toMatch(/at .*\.js:\d+/);
    }
  });
});
