/** Every method trains for real: services, threads, an environment. What it computes is for test/recipes to say. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { Requirement } from "../../core/recipes/recipe.js";
import { runInProcess } from "./in-process.js";
import { Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

/** Of CartPole's returns, for methods that have to know what failure and success are. */
const RETURNS = { minScore: 0, maxScore: 500 };

/** Where defaults are for other tasks than CartPole, or for longer runs. */
const PARAMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "a-star-po": { valueBatches: 2 },
  ares: { successScore: 20 },
  bnpo: RETURNS,
  nft: { successScore: 20 },
  pear: RETURNS,
};

/** What a method needs beside the settings that all have. */
function settingsFor(requires: readonly Requirement[]): Readonly<Record<string, unknown>> {
  const anchors = requires.includes("anchors");
  return {
    environment: { id: anchors ? "FrozenLake-v1" : "CartPole-v1" },
    groups: requires.includes("groups") ? { size: 4, tasks: 100 } : null,
    reference: requires.includes("reference") ? {} : null,
  };
}

describe("recipe", () => {
  it.each(recipeDefinitions.map(({ id }) => id))("%s trains for 3,000 steps", async (id) => {
    const params = { batchSteps: 500, ...PARAMS[id] };
    const { requires } = resolveRecipe({ id, params });
    const { finished, events } = await runInProcess(
      {
        ...{ run: { name: "recipe", seed: 7 }, recipe: { id, params }, model: { hidden: [16] } },
        ...{ actors: { fragmentSteps: 32 }, stop: { envSteps: 3000 } },
        ...settingsFor(requires),
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
