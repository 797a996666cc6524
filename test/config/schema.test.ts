import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import { runConfigJsonSchema } from "../../core/config/schema.js";
import { recipeDefinitions } from "../../core/recipes/index.js";

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  /** The kinds of a union, each a mapping. */
  readonly oneOf?: readonly Node[];
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
}

/** Every property under `node`, by dotted path; a union's kinds stand side by side under its path. */
function properties(node: Node, path = ""): [string, Node][] {
  if (node.oneOf !== undefined) {
    return node.oneOf.flatMap((kind) => [[path, kind] as [string, Node], ...properties(kind, path)]);
  }
  return Object.entries(node.properties ?? {}).flatMap(([name, inner]) => {
    const full = path === "" ? name : `${path}.${name}`;
    return [[full, inner] as [string, Node], ...properties(inner, full)];
  });
}

const SCHEMA = runConfigJsonSchema() as unknown as Node & {
  readonly $schema: string;
  readonly title: string;
};

describe("the JSON Schema of a run file", () => {
  it("describes every field and every section", () => {
    const all = properties(SCHEMA);
    expect(all.length).toBeGreaterThan(45);
    expect(all.filter(([, node]) => (node.description ?? "").length < 8).map(([path]) => path)).toEqual([]);
  });

  it("allows no other fields, but for the parameters that environments and recipes check themselves", () => {
    const sections = [["", SCHEMA] as [string, Node], ...properties(SCHEMA)].filter(
      ([, node]) => node.properties !== undefined,
    );
    expect(sections.map(([, node]) => node.additionalProperties)).toEqual(sections.map(() => false));
    const open = properties(SCHEMA).filter(
      ([, node]) => node.properties === undefined && node.additionalProperties,
    );
    expect(open.map(([path]) => path)).toEqual(["environment.params", "recipe.params"]);
  });

  it("says which fields must be given, and gives the defaults that parsing gives", () => {
    expect(SCHEMA.required).toEqual(["environment"]);
    expect(SCHEMA.properties!["environment"]!.required).toEqual(["id"]);
    const kinds = SCHEMA.properties!["model"]!.oneOf!.map((kind) => kind.properties!["kind"]!.const!);
    expect(kinds).toEqual(["mlp", "cnn", "gru", "transformer"]);
    for (const [k, kind] of kinds.entries()) {
      const config: unknown = parseRunConfig({ environment: { id: "x" }, model: { kind } }, "test");
      const at = (path: string): unknown =>
        path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config);
      const { model, ...others } = SCHEMA.properties!;
      const root = { properties: { ...others, model: model!.oneOf![k]! } };
      const leaves = properties(root).filter(([, node]) => node.properties === undefined);
      for (const [path, node] of leaves) {
        const required = path === "environment.id" || (path === "model.kind" && kind !== "mlp");
        if (!required) expect([path, node.default]).toEqual([path, at(path)]);
      }
    }
  });

  it("names its dialect and what it is about", () => {
    expect(SCHEMA.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(SCHEMA.title).toBe("Skein run file");
  });
});

describe("the parameters of every recipe", () => {
  it.each(recipeDefinitions.map((definition) => [definition.id, definition] as const))(
    "are described one by one (%s)",
    (_id, { params, summary }) => {
      const shape = (params as unknown as { shape: Record<string, { description?: string }> }).shape;
      const undescribed = Object.entries(shape).filter(([, field]) => (field.description ?? "").length < 6);
      expect(undescribed.map(([name]) => name)).toEqual([]);
      expect(summary).toMatch(/\d{4}/);
    },
  );
});
