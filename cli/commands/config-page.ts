/** docs/config.md, written from the schemas of the run file, the recipes and the built-in environments. */
import { markdownTable } from "../../core/markdown.js";
import { z } from "zod";
import { runConfigSchema } from "../../core/config/schema.js";
import { describeSpace } from "../../core/env/spaces.js";
import { modifierDefinitions, recipeDefinitions } from "../../core/recipes/index.js";
import { environmentDefinitions } from "../../envs/index.js";

type Json = z.core.JSONSchema.BaseSchema;

/** One setting: a field that holds a value, not further fields. */
export interface ConfigField {
  /** With dots, as `--set` takes it. */
  readonly key: string;
  /** What it may hold. */
  readonly type: string;
  readonly fallback: string;
  /** Empty where the schema describes nothing. */
  readonly meaning: string;
}

interface Section {
  readonly title: string;
  readonly intro: string;
  readonly fields: readonly ConfigField[];
}

function jsonOf(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, { io: "input" });
}

/** The mappings a schema may hold: one, or one for each kind of a union; none where it is no mapping. */
function objectsOf(schema: z.ZodType): readonly z.ZodObject[] {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodNullable) {
    inner = inner.unwrap() as z.ZodType;
  }
  if (inner instanceof z.ZodDiscriminatedUnion) return inner.options as unknown as z.ZodObject[];
  return inner instanceof z.ZodObject ? [inner] : [];
}

function fieldsOf(object: z.ZodType | undefined): [name: string, field: z.ZodType][] {
  return object instanceof z.ZodObject ? Object.entries(object.shape) : [];
}

function rangeText({ minimum, maximum, exclusiveMinimum }: Json): string {
  const within = (bound: number | undefined): number | null =>
    bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? null : bound;
  const [low, high] = [within(minimum), within(maximum)];
  if (low !== null && high !== null) return `${low} … ${high}`;
  const parts = [
    exclusiveMinimum === undefined ? "" : `> ${exclusiveMinimum}`,
    low === null ? "" : `≥ ${low}`,
    high === null ? "" : `≤ ${high}`,
  ];
  return parts.filter((part) => part !== "").join(" and ");
}

/** What a field with a pattern asks for, in the words of its own complaint. */
function patternText(schema: z.ZodType): string {
  const issues = schema.safeParse(" ").error?.issues ?? [];
  return issues[0]?.message.replace(/^expected /, "") ?? "text";
}

function typeText(json: Json, schema: z.ZodType): string {
  if (json.anyOf !== undefined) return json.anyOf.map((choice) => typeText(choice, schema)).join(" or ");
  if (Array.isArray(json.type)) {
    return json.type.map((type) => typeText({ ...json, type: type }, schema)).join(" or ");
  }
  if (json.const !== undefined) return `\`${String(json.const)}\``;
  if (json.enum !== undefined) return json.enum.map((value) => `\`${String(value)}\``).join(", ");
  switch (json.type) {
    case "boolean":
      return "`true`, `false`";
    case "integer":
    case "number":
      return [json.type, rangeText(json)].filter((part) => part !== "").join(" ");
    case "array":
      return `list of ${json.minItems ?? 0} … ${json.maxItems ?? "∞"}: ${typeText(json.items as Json, schema)}`;
    case "string":
      return json.pattern === undefined ? "text" : patternText(schema);
    case "object": {
      const fields = Object.entries(json.properties ?? {});
      const texts = fields.map(([name, field]) => `\`${name}\` (${typeText(field as Json, schema)})`);
      return fields.length === 0 ? "mapping" : `mapping of ${texts.join(", ")}`;
    }
    case "null":
      return "`null`";
    default:
      return "anything";
  }
}

function configField(key: string, schema: z.ZodType): ConfigField {
  const json = jsonOf(schema);
  return {
    key,
    type: typeText(json, schema),
    fallback: json.default === undefined ? "required" : `\`${JSON.stringify(json.default)}\``,
    meaning: json.description ?? "",
  };
}

/** Every value in `schema`, those of inner mappings included. */
function valuesOf(prefix: string, schema: z.ZodType): ConfigField[] {
  return objectsOf(schema)
    .flatMap(fieldsOf)
    .flatMap(([name, field]) =>
      objectsOf(field).length === 0
        ? [configField(`${prefix}${name}`, field)]
        : valuesOf(`${prefix}${name}.`, field),
    );
}

function section(title: string, intro: string, prefix: string, schema: z.ZodType): Section {
  return { title, intro, fields: valuesOf(prefix, schema) };
}

/** One section for a mapping, or one for each kind of a union. */
function groupSections(name: string, group: z.ZodType): Section[] {
  const objects = objectsOf(group);
  return objects.map((object) => {
    const kind =
      objects.length === 1 ? "" : `, kind ${typeText(jsonOf(object.shape["kind"] as z.ZodType), object)}`;
    const intro = jsonOf(objects.length === 1 ? group : object).description ?? "";
    return section(`\`${name}\`${kind}`, intro, `${name}.`, object);
  });
}

function runFileSections(): Section[] {
  const all = fieldsOf(runConfigSchema);
  const alone = all.filter(([, field]) => objectsOf(field).length === 0);
  return [
    ...all.flatMap(([name, field]) => groupSections(name, field)),
    {
      title: "Top level",
      intro: "Settings outside any group",
      fields: alone.map(([name, field]) => configField(name, field)),
    },
  ];
}

function recipeSections(): Section[] {
  return recipeDefinitions.map(({ id, summary, params }) =>
    section(`Recipe \`${id}\``, summary, "recipe.params.", params),
  );
}

function modifierSections(): Section[] {
  return modifierDefinitions.map(({ id, summary, params }) =>
    section(`Modifier \`${id}\``, summary, "recipe.modifiers[].params.", params),
  );
}

function environmentSections(): Section[] {
  return environmentDefinitions
    .map(({ id, params }) => section(`Environment \`${id}\``, "", "environment.params.", params))
    .filter(({ fields }) => fields.length > 0);
}

/** Every setting of the run file, of the recipes and of the modifiers; without those of environments. */
export function configFields(): readonly ConfigField[] {
  return [...runFileSections(), ...recipeSections(), ...modifierSections()].flatMap(({ fields }) => fields);
}

function sectionText(level: string, { title, intro, fields }: Section): string[] {
  const rows = fields.map(({ key, type, fallback, meaning }) => [`\`${key}\``, type, fallback, meaning]);
  const table = markdownTable([["Key", "Type and bounds", "Default", "Meaning and unit"], ...rows]);
  return [`${level} ${title}`, "", ...(intro === "" ? [] : [`${intro}.`, ""]), ...table, ""];
}

function environmentTable(): string[] {
  const rows = environmentDefinitions.map((definition) => {
    const spec = definition.spec(definition.params.parse({}));
    return [
      `\`${spec.id}\``,
      describeSpace(spec.observationSpace),
      describeSpace(spec.actionSpace),
      String(spec.maxEpisodeSteps ?? "none"),
      String(spec.rewardThreshold ?? "none"),
    ];
  });
  return markdownTable([["Id", "Observation", "Action", "Steps an episode", "Solved at"], ...rows]);
}

const INTRO = `# The run file

<!-- Written by cli/commands/config-page.ts from the schemas; renew it with \`npx vitest run test/docs -u\`. -->

A run file is YAML. It is read once, checked and then never changed. Unknown keys and values out of bounds are
refused with a message; nothing is adjusted. Every key but \`environment.id\` has a default,
or belongs to a group that is \`null\` by default: \`groups\`, \`reference\` and \`security.tls\`.

\`--set key=value\` overrides one key, for instance \`--set actors.processes=4\`; the value is YAML. \`--seed 3\` is
\`--set run.seed=3\`. \`skein schema\` prints the JSON Schema of the run file.

Four rules hold between keys:

- \`coordinator.leaseSeconds\` is at least twice \`coordinator.heartbeatSeconds\`.
- \`model.width\` of a transformer is a multiple of 2 · \`model.heads\`.
- \`deterministic: true\` needs \`staleness.maxPolicyLag: 1\`, \`stop.wallSeconds: null\` and \`groups: null\`.
- \`deterministic: true\` needs \`recipe.params.batchSteps\` = \`actors.processes\` · \`threads\` · \`environments\` ·
  \`fragmentSteps\`.
`;

/** The whole page. */
export function configPage(): string {
  return [
    INTRO,
    ...runFileSections().flatMap((part) => sectionText("##", part)),
    "## Recipes",
    "",
    "Each recipe checks its own `recipe.params`.",
    "",
    ...recipeSections().flatMap((part) => sectionText("###", part)),
    "## Modifiers",
    "",
    "An entry of `recipe.modifiers` has an `id` and its own `params`.",
    "",
    ...modifierSections().flatMap((part) => sectionText("###", part)),
    "## Built-in environments",
    "",
    ...environmentTable(),
    "",
    "Only the environments below take `environment.params`.",
    "",
    ...environmentSections().flatMap((part) => sectionText("###", part)),
  ].join("\n");
}
