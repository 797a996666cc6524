import { describe, expect, it } from "vitest";
import { configFields, configPage } from "../../cli/commands/config-page.js";
import { runConfigSchema } from "../../core/config/schema.js";

describe("docs/config.md", () => {
  it("is what the schemas say (renew it with: npx vitest run test/docs -u)", async () => {
    await expect(configPage()).toMatchFileSnapshot("../../docs/config.md");
  });

  it("names every key that a run file resolves to", () => {
    const kinds = ["mlp", "cnn", "gru", "transformer"];
    const keys = kinds.flatMap((kind) => {
      const resolved = runConfigSchema.parse({ environment: { id: "CartPole-v1" }, model: { kind } });
      return Object.entries(resolved).flatMap(([group, value]) =>
        typeof value === "object" && !Array.isArray(value)
          ? Object.keys(value).map((key) => `${group}.${key}`)
          : [group],
      );
    });
    const listed = configFields().map(({ key }) => key);
    expect(new Set(listed.filter((key) => !key.startsWith("recipe.params.")))).toEqual(new Set(keys));
  });

  it("describes every key", () => {
    for (const { key, meaning } of configFields()) expect(meaning, key).not.toBe("");
  });

  it("gives every key a type", () => {
    for (const { key, type } of configFields()) {
      expect(type, key).not.toBe("");
      expect(type, key).not.toContain("anything");
    }
  });
});
