import { describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { findRecipe, recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";

function refusal(id: string, params: Readonly<Record<string, unknown>> = {}): SkeinError {
  try {
    resolveRecipe({ id, params });
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("a recipe", () => {
  it("is found by its id", () => {
    for (const definition of recipeDefinitions) expect(findRecipe(definition.id)).toBe(definition);
    expect(new Set(recipeDefinitions.map(({ id }) => id)).size).toBe(recipeDefinitions.length);
  });

  it("that nobody knows is refused with the nearest id, or with all of them", () => {
    expect(refusal("pppo")).toMatchObject({
      code: "RECIPE_UNKNOWN",
      message: 'recipe.id: no recipe "pppo". Did you mean "ppo"?',
    });
    expect(refusal("something else").message).toContain("Known: ");
  });

  it("of PPO has the defaults of its paper's careful implementations", () => {
    const { sampler, update, derive, trackers } = resolveRecipe({ id: "ppo", params: {} });
    expect(sampler).toEqual({ batchSteps: 512 });
    expect(update).toEqual({
      ...{ epochs: 4, minibatches: 4, learningRate: 2.5e-4, anneal: true, maxGradNorm: 0.5 },
      ...{ minibatchesOf: "steps", adamEpsilon: 1e-5, targetKl: null },
    });
    expect(derive.map(({ id }) => id)).toEqual(["gae", "normalizeAdvantages"]);
    expect(trackers).toEqual({});
  });

  it("takes its parameters where they are given", () => {
    const params = {
      ...{ batchSteps: 100, epochs: 2, minibatches: 5, learningRate: 0.1, annealLearningRate: false },
      ...{ maxGradNorm: 9, adamEpsilon: 1e-3, targetKl: 0.5, normalizeAdvantages: false, scaleRewards: true },
    };
    const { sampler, update, derive, trackers } = resolveRecipe({ id: "ppo", params });
    expect(sampler).toEqual({ batchSteps: 100 });
    expect(update).toEqual({
      ...{ epochs: 2, minibatches: 5, learningRate: 0.1, anneal: false, maxGradNorm: 9 },
      ...{ minibatchesOf: "steps", adamEpsilon: 1e-3, targetKl: 0.5 },
    });
    expect(derive.map(({ id }) => id)).toEqual(["scaleRewards", "gae"]);
    expect(Object.keys(trackers)).toEqual(["returnScale"]);
  });

  it.each([
    [{ gama: 0.9 }, 'recipe ppo: unknown key "recipe.params.gama". Did you mean "gamma"?'],
    [{ clip: 0.9 }, 'recipe ppo: unknown key "recipe.params.clip".'],
    [{ gamma: 1.1 }, "recipe.params.gamma: Too big: expected number to be <=1, got 1.1"],
    [{ lambda: -0.1 }, "recipe.params.lambda: Too small: expected number to be >=0, got -0.1"],
    [{ epochs: 0 }, "recipe.params.epochs: Too small: expected number to be >=1, got 0"],
    [{ epochs: 1.5 }, "recipe.params.epochs: expected int, got 1.5"],
    [{ learningRate: 0 }, "recipe.params.learningRate: Too small: expected number to be >0, got 0"],
    [{ learningRate: "fast" }, 'recipe.params.learningRate: expected number, got "fast"'],
    [{ valueClipEpsilon: false }, "recipe.params.valueClipEpsilon: expected number, got false"],
    [{ maxGradNorm: Infinity }, "recipe.params.maxGradNorm: expected number, got Infinity"],
    [{ scaleRewards: 1 }, "recipe.params.scaleRewards: expected boolean, got 1"],
  ])("refuses a wrong parameter, naming its place in the run file: %o", (params, message) => {
    const error = refusal("ppo", params);
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(message);
  });
});
