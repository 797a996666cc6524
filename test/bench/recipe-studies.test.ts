import { describe, expect, it } from "vitest";
import { families } from "../../bench/studies/catalogue/recipes.js";
import { recipeDefinitions } from "../../core/recipes/index.js";

describe("studies of recipes", () => {
  it("have each method once", () => {
    expect(families.flatMap(({ ids }) => ids).sort()).toEqual(recipeDefinitions.map(({ id }) => id).sort());
  });
});
