/** Reads a run file and `--set` overrides into one immutable RunConfig. The only reader of process.env outside mains. */
import { readFile } from "node:fs/promises";
import { parse as parseYaml } from "yaml";
import { SkeinError, messageOf } from "../errors.js";
import { runConfigSchema, type RunConfig } from "./schema.js";
import { parseStrict } from "./validate.js";

type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseText(text: string, where: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw new SkeinError("CONFIG_INVALID", `${where}: not valid YAML: ${messageOf(error)}`, { cause: error });
  }
}

/** Applies `a.b.c=value` (value in YAML) to a copy of `tree`. */
export function applyOverride(tree: Tree, assignment: string): Tree {
  const at = assignment.indexOf("=");
  const path = at < 0 ? [] : assignment.slice(0, at).trim().split(".");
  if (path.length === 0 || path.some((part) => part === "")) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `--set: expected key=value, for instance run.seed=3, got "${assignment}"`,
    );
  }
  const value = parseText(assignment.slice(at + 1), `--set ${assignment}`);
  const root = structuredClone(tree);
  let node = root;
  for (const part of path.slice(0, -1)) {
    const next = Object.hasOwn(node, part) ? node[part] : undefined;
    if (isTree(next)) {
      node = next;
    } else {
      const made: Tree = {};
      node[part] = made;
      node = made;
    }
  }
  node[path[path.length - 1]!] = value;
  return root;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

/** Checks what one field alone cannot say. */
function checkTogether(config: RunConfig, where: string): void {
  if (config.coordinator.leaseSeconds < 2 * config.coordinator.heartbeatSeconds) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${where}: coordinator.leaseSeconds: expected at least twice coordinator.heartbeatSeconds ` +
        `(${config.coordinator.heartbeatSeconds}), got ${config.coordinator.leaseSeconds}`,
    );
  }
  const { model } = config;
  if (model.kind === "transformer" && model.width % (2 * model.heads) !== 0) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${where}: model.width: expected a multiple of 2 · model.heads (${2 * model.heads}), got ${model.width}`,
    );
  }
  if (config.deterministic && config.staleness.maxPolicyLag !== 1) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${where}: staleness.maxPolicyLag: expected 1 with deterministic: true (exactly one version behind), ` +
        `got ${config.staleness.maxPolicyLag}`,
    );
  }
  if (config.deterministic && config.groups !== null) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${where}: groups: expected null with deterministic: true (which seat plays a member is not fixed), got groups`,
    );
  }
  if (config.deterministic && config.stop.wallSeconds !== null) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${where}: stop.wallSeconds: expected null with deterministic: true (a clock is not deterministic), ` +
        `got ${config.stop.wallSeconds}`,
    );
  }
}

/** Validates a parsed run file. `where` names it in messages. */
export function parseRunConfig(input: unknown, where: string): RunConfig {
  const config = parseStrict(runConfigSchema, input, where);
  checkTogether(config, where);
  return deepFreeze(config);
}

/** Reads `path` and applies the overrides in order. */
export async function loadRunConfig(path: string, overrides: readonly string[] = []): Promise<RunConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SkeinError("CONFIG_INVALID", `cannot read run file ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const parsed = parseText(text, path);
  if (!isTree(parsed)) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `${path}: expected a mapping of settings, got ${parsed === null ? "nothing" : typeof parsed}`,
    );
  }
  return parseRunConfig(overrides.reduce(applyOverride, parsed), path);
}

/** What the process's surroundings say about the terminal. */
export function terminalPreferences(): { readonly color: boolean } {
  const { NO_COLOR, TERM } = process.env;
  return { color: (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb" };
}
