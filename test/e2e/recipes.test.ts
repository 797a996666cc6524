/** Every method trains for real: services, threads, an environment. What it computes is for test/recipes to say. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recipeRun } from "../../bench/recipe-runs.js";
import { laidOver } from "../../bench/studies/runs.js";
import { modifierDefinitions, recipeDefinitions } from "../../core/recipes/index.js";
import { runInProcess } from "./in-process.js";
import { Workplace } from "./skein.js";
import type { BookReport } from "../../services/coordinator/main.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

describe("recipe", () => {
  it.each(recipeDefinitions.map(({ id }) => id))("%s trains for 3,000 steps", async (id) => {
    const { finished, events } = await runInProcess(
      {
        ...{ run: { name: "recipe", seed: 7 }, actors: { fragmentSteps: 32 }, stop: { envSteps: 3000 } },
        ...laidOver(recipeRun(id, { batchSteps: 500 }), { model: { hidden: [16] } }),
      },
      join(place.folder, "run"),
    );
    const said = events.flatMap((event) =>
      event.event === "notice" && event.level !== "info" ? [event.message] : [],
    );
    expect(finished, said.join("; ")).toMatchObject({ reason: "steps" });
    expect(finished.envSteps).toBeGreaterThanOrEqual(3000);
    expect(finished.updates, said.join("; ")).toBeGreaterThan(0);
  });

  it("that cannot use the scores it is given ends the run, and says what to set", async () => {
    await place.runFile({
      recipe: { id: "bnpo", params: { batchSteps: 500 } },
      groups: { size: 4, tasks: 100 },
      stop: { envSteps: 3000 },
    });
    const { code, stdout } = await place.run("train", "run.yaml");
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /recipe bnpo needs scores from 0 \(failure\) to 1 \(success\), got \d+: set recipe\.params/,
    );
  });
});

describe("dynamic sampling", () => {
  it("keeps groups of equal scores out of training, and the books balance", async () => {
    // At first one episode in fifty reaches the goal, so hardly any group differs in score.
    await place.runFile({
      environment: { id: "FrozenLake-v1" },
      recipe: {
        ...{ id: "grpo", params: { batchSteps: 600 } },
        modifiers: [{ id: "dynamic-sampling", params: { maxFilteredBatches: 2 } }],
      },
      groups: { size: 4, tasks: 100 },
      stop: { envSteps: 1200 },
    });
    const { code } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(0);
    const [folder] = await place.runFolders();
    const { stdout } = await place.run("inspect", folder!, "--json");
    const { books, imbalance } = JSON.parse(stdout) as BookReport;
    expect(imbalance).toEqual({ rollouts: 0, steps: 0 });
    const { trained, stale, filtered, failed, inFlight, submitted } = books;
    const equal = filtered["equalScores"]!;
    expect(equal.rollouts).toBeGreaterThan(0);
    expect(equal.rollouts % 4).toBe(0);
    expect(trained.steps).toBeGreaterThanOrEqual(1200);
    const said = [trained, stale, inFlight, ...Object.values(filtered), ...Object.values(failed)];
    expect(said.reduce((sum, { rollouts }) => sum + rollouts, 0)).toBe(submitted.rollouts);
  });
});

describe("skein recipes", () => {
  it("lists every method, and what it needs, and every modifier", async () => {
    const { code, stdout } = await place.run("recipes");
    expect(code).toBe(0);
    const all = [...recipeDefinitions, ...modifierDefinitions];
    for (const { summary } of all) expect(stdout).toContain(summary);
    expect(stdout.indexOf("Modifiers")).toBeGreaterThan(stdout.indexOf("\ngrpo "));
    expect(stdout.indexOf("\ndynamic-sampling ")).toBeGreaterThan(stdout.indexOf("Modifiers"));
    expect(stdout).toMatch(/^grpo .*\[needs groups\]$/m);
    expect(stdout).toMatch(/^ppo .*\[needs value\]$/m);
  });

  it("shows one resolved, and names the nearest to one that does not exist", async () => {
    const { stdout } = await place.run("recipes", "show", "gspo");
    expect(stdout).toMatch(/^terms +1 · policyLoss on logprob by seq-mean-token-mean$/m);
    expect(stdout).toMatch(/^clipHigh +0\.0004 /m);
    const both = await place.run("recipes", "show", "tis");
    expect(both.stdout).toMatch(/^tis: GRPO.*$[\s\S]*^modifier tis: .*$[\s\S]*^weightMax +2 /m);
    const alone = await place.run("recipes", "show", "replay", "--json");
    expect(JSON.parse(alone.stdout)).toMatchObject({
      modifier: { id: "replay", params: { replayShare: 0.4 } },
    });
    const refused = await place.run("recipes", "show", "grppo");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Did you mean "grpo"?');
  });

  it("are refused before anything is started where a run file does not offer what they need", async () => {
    await place.runFile({ recipe: { id: "grpo", params: {} } });
    const { code, stdout, stderr } = await place.run("train", "run.yaml");
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      "skein: recipe grpo needs groups of rollouts of the same task: set groups.size and groups.tasks\n",
    );
    expect(await place.runFolders()).toEqual([]);
  });
});
