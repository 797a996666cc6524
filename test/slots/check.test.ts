import { describe, expect, it } from "vitest";
import { checkRecipe } from "../../core/slots/check.js";
import { ppo } from "../../core/recipes/ppo.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";

const recipe: Recipe = ppo.build(ppo.params.parse({}));

describe("a recipe", () => {
  it("whose readers all find their columns is accepted, with every option of ppo", () => {
    for (const params of [
      {},
      { scaleRewards: true },
      { normalizeAdvantages: false },
      { valueClipEpsilon: null },
    ]) {
      expect(resolveRecipe({ id: "ppo", params }).id).toBe("ppo");
    }
  });

  it("that reads values it does not have evaluated is refused, naming reader and column", () => {
    expect(() => checkRecipe({ ...recipe, evaluate: [] })).toThrow(/ppo: gae needs the step column "values"/);
  });

  it("whose term reads what no derive writes is refused", () => {
    const without = recipe.derive.filter((derive) => derive.id !== "gae");
    const bare = without.filter((derive) => derive.id !== "normalizeAdvantages");
    expect(() => checkRecipe({ ...recipe, derive: without })).toThrow(
      /normalizeAdvantages needs .*"advantages"/,
    );
    expect(() => checkRecipe({ ...recipe, derive: bare })).toThrow(/policyLoss needs .*"advantages"/);
  });

  it("may not read on sealing what is only written on each minibatch", () => {
    const late = recipe.derive.map((derive) =>
      derive.id === "gae" ? { ...derive, when: "step" as const } : derive,
    );
    const early = late.map((derive) =>
      derive.id === "normalizeAdvantages" ? { ...derive, when: "seal" as const } : derive,
    );
    expect(() => checkRecipe({ ...recipe, derive: early })).toThrow(
      /normalizeAdvantages needs .*"advantages"/,
    );
  });
});
