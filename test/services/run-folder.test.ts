import { mkdtemp, readdir, readFile, rm, writeFile, appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseRunConfig } from "../../core/config/load.js";
import type { ProgressEvent } from "../../core/progress.js";
import { RunFolder } from "../../services/learner/run-folder.js";

const CONFIG = parseRunConfig({ environment: { id: "CartPole-v1" }, run: { name: "test" } }, "test");

const warnings: string[] = [];
const OPTIONS = {
  ...{ config: CONFIG, environmentId: "CartPole-v1" },
  warn: (message: string) => void warnings.push(message),
};

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), "skein-run-")), "run");
});
afterEach(() => rm(join(path, ".."), { recursive: true }));

const open = (fromEnvSteps = 0): Promise<RunFolder> => RunFolder.open(path, { ...OPTIONS, fromEnvSteps });

function progress(policyVersion: number, meanReturn100 = policyVersion): ProgressEvent {
  return {
    ...{ event: "progress", envSteps: 100 * policyVersion, envStepsPerSecond: NaN, updates: policyVersion },
    ...{
      updatesPerSecond: NaN,
      policyVersion,
      policyLagMean: 0,
      policyLagMax: 0,
      episodes: 0,
      meanReturn100,
    },
    ...{ actors: 1, wallSeconds: 0, etaSeconds: NaN, stats: { "größe of loss": 1 } },
  };
}

async function versions(): Promise<number[]> {
  const text = await readFile(join(path, "metrics.jsonl"), "utf8");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as ProgressEvent).policyVersion);
}

async function record(folder: RunFolder, ...recorded: number[]): Promise<void> {
  for (const version of recorded) folder.record(progress(version));
  await folder.close();
}

describe("a run folder", () => {
  it("holds the resolved run file, a line of metrics for each event and a curve", async () => {
    const folder = await open();
    await record(folder, 1, 2, 3);
    expect((await readdir(path)).sort()).toEqual(["learning-curve.svg", "metrics.jsonl", "run.yaml"]);
    expect(parse(await readFile(join(path, "run.yaml"), "utf8"))).toEqual(CONFIG);
    expect(await versions()).toEqual([1, 2, 3]);
    expect(await readFile(join(path, "learning-curve.svg"), "utf8")).toMatch(/^<svg[\s\S]*<\/svg>\s*$/);
  });

  it("drops metrics beyond the checkpoint when it is opened again, and goes on after them", async () => {
    await record(await open(), 1, 2, 3, 4);
    await record(await open(200), 3, 4, 5);
    expect(await versions()).toEqual([1, 2, 3, 4, 5]);
  });

  it("drops a line that a crash cut short", async () => {
    await record(await open(), 1, 2);
    await appendFile(join(path, "metrics.jsonl"), JSON.stringify(progress(3)).slice(0, 40));
    await record(await open(1_000), 3);
    expect(await versions()).toEqual([1, 2, 3]);
  });

  it("drops everything from a line on that is none: two processes wrote", async () => {
    await record(await open(), 1, 2);
    await appendFile(
      join(path, "metrics.jsonl"),
      `{"envSteps":3{"envSteps"\n${JSON.stringify(progress(4))}\n`,
    );
    await record(await open(1_000), 3);
    expect(await versions()).toEqual([1, 2, 3]);
  });

  it("starts a run over with empty metrics", async () => {
    await record(await open(), 1, 2);
    await record(await open(0), 1);
    expect(await versions()).toEqual([1]);
  });

  it("draws what was recorded before it was opened again, too", async () => {
    await record(await open(), 1, 2, 3);
    const whole = await readFile(join(path, "learning-curve.svg"), "utf8");
    await writeFile(join(path, "learning-curve.svg"), "");
    await record(await open(300));
    expect(await readFile(join(path, "learning-curve.svg"), "utf8")).toBe(whole);
  });
});
