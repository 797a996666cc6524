/** A run file, resolved and checked as far as can be without starting anything. */
import { resolve, dirname } from "node:path";
import { loadRunConfig } from "../../core/config/load.js";
import type { RunConfig } from "../../core/config/schema.js";
import type { EnvironmentSpec } from "../../core/env/environment.js";
import { SkeinError } from "../../core/errors.js";
import { resolveRunRecipe } from "../../core/recipes/index.js";
import { loadEnvironment } from "../../envs/index.js";

export interface RunFileOptions {
  readonly set: readonly string[];
  readonly seed?: number;
}

export interface ResolvedRun {
  readonly config: RunConfig;
  readonly environment: EnvironmentSpec;
}

/** A fixed order needs every batch to be one fragment of each seat. */
function checkDeterministic({ actors }: RunConfig, batchSteps: number): void {
  const fleetSteps = actors.processes * actors.threads * actors.environments * actors.fragmentSteps;
  if (batchSteps !== fleetSteps) {
    throw new SkeinError(
      "CONFIG_INVALID",
      "recipe.params.batchSteps: expected actors.processes · threads · environments · fragmentSteps " +
        `(${fleetSteps}) with deterministic: true, got ${batchSteps}`,
    );
  }
}

/** Files that a run file names are relative to it. */
function withAbsolutePaths(config: RunConfig, folder: string): RunConfig {
  const { environment, reference } = config;
  const { module } = environment;
  const policy = reference?.policy ?? "initial";
  return {
    ...config,
    environment: { ...environment, module: module === null ? null : resolve(folder, module) },
    reference:
      reference === null || policy === "initial"
        ? reference
        : { ...reference, policy: resolve(folder, policy) },
  };
}

/** Reads the run file and refuses what cannot run: unknown keys, environment or recipe, values out of bounds. */
export async function resolveRun(runFile: string, options: RunFileOptions): Promise<ResolvedRun> {
  const seed = options.seed === undefined ? [] : [`run.seed=${options.seed}`];
  const base = await loadRunConfig(runFile, [...options.set, ...seed]);
  const config = withAbsolutePaths(base, dirname(runFile));
  const { spec } = await loadEnvironment(config.environment, process.cwd());
  const recipe = resolveRunRecipe(config, spec);
  if (config.deterministic) checkDeterministic(config, recipe.sampler.batchSteps);
  return { config, environment: spec };
}
