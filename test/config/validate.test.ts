import { describe, expect, it } from "vitest";
import { z } from "zod";
import { nearest, parseStrict, suggestion } from "../../core/config/validate.js";

describe("the nearest known word", () => {
  const known = ["gamma", "lambda", "epochs", "minibatches", "learningRate"];

  it.each([
    ["gama", "gamma"],
    ["GAMMA", "gamma"],
    ["lamda", "lambda"],
    ["epoch", "epochs"],
    ["learning_rate", "learningRate"],
    ["miniBatchs", "minibatches"],
  ])("to %s is %s", (word, expected) => {
    expect(nearest(word, known)).toBe(expected);
  });

  it("is none where nothing is near or nothing is known", () => {
    expect(nearest("temperature", ["id"])).toBeNull();
    expect(nearest("gamma", [])).toBeNull();
  });

  it("becomes a question, or the sorted list of what is known", () => {
    expect(suggestion("gama", known)).toBe(' Did you mean "gamma"?');
    expect(suggestion("qqqqqqqqqqq", ["b", "a"])).toBe(" Known: a, b.");
  });
});

describe("strict parsing", () => {
  const schema = z.strictObject({
    rate: z.number().positive(),
    inner: z.strictObject({ depth: z.int() }).nullable().default(null),
  });

  it("returns what the schema makes of the input", () => {
    expect(parseStrict(schema, { rate: 2 }, "here")).toEqual({ rate: 2, inner: null });
  });

  it("puts the place of the input before every path and uses the code it is given", () => {
    const act = (): unknown =>
      parseStrict(
        schema,
        { rate: 0, inner: { dept: 1 } },
        "recipe x",
        ["recipe", "params"],
        "RECIPE_INVALID",
      );
    expect(act).toThrow(
      expect.objectContaining({
        code: "RECIPE_INVALID",
        message: expect.stringContaining(
          "recipe.params.rate: Too small: expected number to be >0, got 0",
        ) as string,
      }) as Error,
    );
    expect(act).toThrow('unknown key "recipe.params.inner.dept". Did you mean "depth"?');
    expect(act).toThrow("recipe.params.inner.depth: expected number, got nothing");
  });

  it("speaks of the root where the whole input is wrong", () => {
    expect(() => parseStrict(schema, 7, "here")).toThrow("here: (root): expected object, got 7");
  });

  it("shows numbers that JSON does not know", () => {
    expect(() => parseStrict(schema, { rate: NaN }, "here")).toThrow("here: rate: expected number, got NaN");
    expect(() => parseStrict(schema, { rate: Infinity }, "here")).toThrow("got Infinity");
  });
});
