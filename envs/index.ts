/** Which environments there are: the built-in ones by id, and a user's own from a module. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseStrict, suggestion } from "../core/config/validate.js";
import type { EnvironmentDefinition, EnvironmentSpec, VectorEnvironment } from "../core/env/environment.js";
import { messageOf, SkeinError } from "../core/errors.js";
import { blackjack } from "./cards/blackjack.js";
import { acrobot } from "./classic/acrobot.js";
import { cartPole } from "./classic/cart-pole.js";
import { mountainCarContinuous } from "./classic/mountain-car-continuous.js";
import { mountainCar } from "./classic/mountain-car.js";
import { pendulum } from "./classic/pendulum.js";
import { cliffWalking, cliffWalkingSlippery } from "./grid/cliff-walking.js";
import { frozenLake, frozenLake8x8 } from "./grid/frozen-lake.js";
import { keyDoor, keyDoorLong } from "./grid/key-door.js";
import { taxi } from "./grid/taxi.js";
import { asterix } from "./minatar/asterix.js";
import { breakout } from "./minatar/breakout.js";
import { freeway } from "./minatar/freeway.js";
import { seaquest } from "./minatar/seaquest.js";
import { spaceInvaders } from "./minatar/space-invaders.js";
import { bandit, contextBandit } from "./sanity/bandits.js";
import { discount } from "./sanity/discount.js";
import { masked } from "./sanity/masked.js";
import { memory } from "./sanity/memory.js";
import { truncation } from "./sanity/truncation.js";

export const environmentDefinitions: readonly EnvironmentDefinition[] = [
  cartPole,
  acrobot,
  mountainCar,
  mountainCarContinuous,
  pendulum,
  frozenLake,
  frozenLake8x8,
  taxi,
  cliffWalking,
  cliffWalkingSlippery,
  blackjack,
  keyDoor,
  keyDoorLong,
  breakout,
  asterix,
  freeway,
  seaquest,
  spaceInvaders,
  bandit,
  contextBandit,
  discount,
  truncation,
  memory,
  masked,
];

/** The part of a run file that names an environment. */
export interface EnvironmentChoice {
  readonly id: string;
  /** Path of an ES module with the user's own environments; null = a built-in one. */
  readonly module: string | null;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface LoadedEnvironment {
  readonly spec: EnvironmentSpec;
  vectorize(count: number): VectorEnvironment;
}

function unknown(message: string, cause?: unknown): SkeinError {
  return new SkeinError("ENVIRONMENT_UNKNOWN", message, cause === undefined ? {} : { cause });
}

/** The built-in environment of that id. */
export function findEnvironment(id: string): EnvironmentDefinition {
  const found = environmentDefinitions.find((definition) => definition.id === id);
  if (found !== undefined) return found;
  const known = environmentDefinitions.map((definition) => definition.id);
  throw unknown(
    `no built-in environment "${id}".${suggestion(id, known)} An environment of your own needs environment.module.`,
  );
}

function isDefinition(value: unknown): value is EnvironmentDefinition {
  if (typeof value !== "object" || value === null) return false;
  const { id, params, spec, vectorize } = value as Partial<Record<keyof EnvironmentDefinition, unknown>>;
  return (
    typeof id === "string" &&
    typeof params === "object" &&
    typeof spec === "function" &&
    typeof vectorize === "function"
  );
}

/** Every environment that the module at `path` exports as `default` or `environment`, alone or in an array. */
async function definitionsIn(path: string): Promise<readonly EnvironmentDefinition[]> {
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Readonly<
      Record<string, unknown>
    >;
  } catch (cause) {
    throw unknown(
      `environment.module ${path} cannot be loaded: ${messageOf(cause)}. It must be the path of an ES module, relative to the run file.`,
      cause,
    );
  }
  const definitions = [...new Set([exports["default"], exports["environment"]].flat())].filter(isDefinition);
  if (definitions.length > 0) return definitions;
  const names = Object.keys(exports).join(", ") || "nothing";
  throw unknown(
    `environment.module ${path} exports ${names}, but no environment: export what defineEnvironment() returns, or an array of those, as default or as "environment".`,
  );
}

/** The definition named `id`, or the only one there is where `id` is empty. */
function choose(
  definitions: readonly EnvironmentDefinition[],
  id: string,
  path: string,
): EnvironmentDefinition {
  const [first, ...others] = definitions;
  if (id === "" && first !== undefined && others.length === 0) return first;
  const found = definitions.find((definition) => definition.id === id);
  if (found !== undefined) return found;
  const known = definitions.map((definition) => definition.id);
  throw unknown(
    id === ""
      ? `environment.module ${path} exports several environments: set environment.id to one of ${known.join(", ")}.`
      : `environment.module ${path} exports no environment "${id}".${suggestion(id, known)}`,
  );
}

/** The environment a run file names, its params validated. `baseDir`: the folder that `module` is relative to. */
export async function loadEnvironment(
  choice: EnvironmentChoice,
  baseDir: string,
): Promise<LoadedEnvironment> {
  const { id, module, params } = choice;
  const path = module === null ? null : resolve(baseDir, module);
  const definition = path === null ? findEnvironment(id) : choose(await definitionsIn(path), id, path);
  const where = `environment "${definition.id}"`;
  const checked = parseStrict(definition.params, params, where, ["environment", "params"]);
  const spec = definition.spec(checked);
  return { spec, vectorize: (count) => definition.vectorize(spec, checked, count) };
}
