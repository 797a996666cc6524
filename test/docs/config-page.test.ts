import { describe, expect, it } from "vitest";
import { configFields, configPage } from "../../cli/commands/config-page.js";
import { runConfigSchema } from "../../core/config/schema.js";

/** With dots; a mapping without keys is a value. */
function keysOf(value: object): string[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const isMapping = typeof inner === "object" && inner !== null && !Array.isArray(inner);
    const keys = isMapping ? keysOf(inner) : [];
    return keys.length === 0 ? [key] : keys.map((deeper) => `${key}.${deeper}`);
  });
}

describe("docs/config.md", () => {
  it("is what the schemas say (renew it with: npx vitest run test/docs -u)", async () => {
    await expect(configPage()).toMatchFileSnapshot("../../docs/config.md");
  });

  it("names every key that a run file resolves to", () => {
    const kinds = ["mlp", "cnn", "gru", "transformer"];
    const keys = kinds.flatMap((kind) => {
      const resolved = runConfigSchema.parse({
        ...{ environment: { id: "CartPole-v1" }, model: { kind }, groups: { size: 2 } },
        reference: {},
        security: { tls: { cert: "a", key: "b", ca: "c" } },
      });
      return keysOf(resolved);
    });
    const listed = configFields().map(({ key }) => key);
    const ofRecipes = /^recipe\.(params|modifiers\[\]\.params)\./;
    expect(new Set(listed.filter((key) => !ofRecipes.test(key)))).toEqual(new Set(keys));
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
