/** Every method trains for real: processes, sockets, an environment. What it computes is for test/recipes to say. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunEvent } from "../../core/progress.js";
import { recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import { finishedOf, Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

/** Where defaults are for other tasks than CartPole, or for longer runs. */
const PARAMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "a-star-po": { valueBatches: 2 },
  nft: { successScore: 20 },
};

describe("recipe", () => {
  it.each(recipeDefinitions.map(({ id }) => id))("%s trains for 3,000 steps", async (id) => {
    const { requires } = resolveRecipe({ id, params: {} });
    const groups = requires.includes("groups") ? { size: 4, tasks: 100 } : null;
    const reference = requires.includes("reference") ? {} : null;
    const params = { batchSteps: 500, ...PARAMS[id] };
    const environment = { id: requires.includes("anchors") ? "KeyDoor-v1" : "CartPole-v1" };
    await place.runFile({ environment, recipe: { id, params }, groups, reference, stop: { envSteps: 3000 } });
    const { code, stdout } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(0);
    const finished = finishedOf(JSON.parse(stdout.trim().split("\n").pop()!) as RunEvent);
    expect(finished.envSteps).toBeGreaterThanOrEqual(3000);
    expect(finished.updates).toBeGreaterThan(0);
  });
});

describe("skein recipes", () => {
  it("lists every method, and what it needs", async () => {
    const { code, stdout } = await place.run("recipes");
    expect(code).toBe(0);
    for (const { summary } of recipeDefinitions) expect(stdout).toContain(summary);
    expect(stdout).toMatch(/^grpo .*\[needs groups\]$/m);
    expect(stdout).toMatch(/^ppo .*\[needs value\]$/m);
  });

  it("shows one resolved, and names the nearest to one that does not exist", async () => {
    const { stdout } = await place.run("recipes", "show", "gspo");
    expect(stdout).toMatch(/^terms +1 · policyLoss on logprob by seq-mean-token-mean$/m);
    expect(stdout).toMatch(/^clipHigh +0\.0004 /m);
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
