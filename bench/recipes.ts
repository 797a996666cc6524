/** `npm run bench -- recipes`: the share of an update that a method's own arithmetic takes, on the learner of a real run. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recipeDefinitions } from "../core/recipes/index.js";
import type { BenchResult } from "./engine.js";
import { recipeRun } from "./recipe-runs.js";
import { ratioTable, type Ratio } from "./report.js";
import type { Sums } from "./scrape.js";
import { measureTraining } from "./training-run.js";

export interface RecipesOptions {
  /** Environment steps of a batch. */
  readonly batchSteps: number;
  /** Measured length of each run. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Only the methods whose id has this in it. */
  readonly only: string;
}

/** All of a batch's time in the training thread. */
const PARTS = ["assemble", "evaluate", "derive", "minibatch", "engine_update"] as const;
const FOREVER = 1e9;

/** Milliseconds of a batch: the recipe's, and whole. */
function perBatch(sums: Sums): { readonly derive: number; readonly whole: number } {
  const secondsOf = (part: string): number => sums.get(`skein_learner_${part}_seconds_sum`) ?? 0;
  const batches = sums.get("skein_learner_derive_seconds_count") ?? 0;
  const whole = PARTS.reduce((sum, part) => sum + secondsOf(part), 0);
  return { derive: (1000 * secondsOf("derive")) / batches, whole: (1000 * whole) / batches };
}

/** ours = the recipe's time, peer = the whole of it, milliseconds a batch. */
export async function benchRecipes(
  { batchSteps, only, ...window }: RecipesOptions,
  say: (text: string) => void,
): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "skein-bench-"));
  const ratios: Ratio[] = [];
  try {
    for (const { id } of recipeDefinitions.filter((definition) => definition.id.includes(only))) {
      const path = join(folder, `${id}.yaml`);
      const run = { ...recipeRun(id, { batchSteps }), stop: { envSteps: FOREVER } };
      await writeFile(path, JSON.stringify(run));
      const { sums } = await measureTraining([path], folder, window);
      const { derive, whole } = perBatch(sums);
      say(`${id}: ${derive.toFixed(2)} of ${whole.toFixed(2)} ms a batch`);
      ratios.push({ name: `${id} (ms)`, ours: derive, peer: whole });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  say(ratioTable(ratios, "whole update", { header: [], cells: () => [] }));
  return { ratios, ok: true };
}
