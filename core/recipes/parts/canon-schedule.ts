/** How CANON's μ goes from comparing between halves of a group to comparing within, or back. */
import { z } from "zod";
import { rowColumn } from "../../slots/batch.js";
import type { Readings, Tracker } from "../../slots/recipe.js";
import { scoreRange, successOf } from "./success.js";

const batches = z.int().min(0).max(1e9);
export const scheduleParams = {
  mu: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("μ: share of the comparison between halves; 1/2 = Dr. GRPO"),
  schedule: z
    .enum(["constant", "first-inter", "first-intra", "cosine-first-inter", "cosine-first-intra"])
    .default("constant")
    .describe("What μ follows instead: the batch's success, or a cosine with restarts"),
  cosineBatches: batches.min(1).default(150).describe("Batches of the cosine, warm-up included"),
  cosineWarmup: batches.default(30).describe("Batches over which it rises first"),
  cosineCycles: z.int().min(1).max(1e6).default(3).describe("Times that it falls to 0 within them"),
  cosineMax: z.number().min(0).max(1).default(0.6).describe("What it falls from"),
  ...scoreRange,
};
type Params = z.output<z.ZodObject<typeof scheduleParams>>;

/** c(n): up to `cosineMax` in the warm-up, then from there to 0, again and again. n = batches before this one. */
export function cosineWithRestarts(
  n: number,
  p: Omit<Params, "mu" | "schedule" | "minScore" | "maxScore">,
): number {
  if (n < p.cosineWarmup) return (p.cosineMax * (n + 1)) / p.cosineWarmup;
  const cycle = Math.max(1, Math.floor((p.cosineBatches - p.cosineWarmup) / p.cosineCycles));
  return (p.cosineMax * (1 + Math.cos((Math.PI * ((n - p.cosineWarmup) % cycle)) / cycle))) / 2;
}

const NAME = "interSchedule";

/** μ of the batches observed so far, the present one included. */
function muTracker(
  next: (batchesBefore: number, scores: Float64Array) => number,
): Tracker<{ batches: number; mu: number }> {
  return {
    initial: { batches: 0, mu: 0 },
    observe: ({ batches }, batch) => ({ batches: batches + 1, mu: next(batches, rowColumn(batch, "score")) }),
    read: ({ mu }) => ({ mu }),
  };
}

/** μ as the derive reads it, and what it needs. */
export function interSchedule(p: Params): {
  readonly trackers: Readonly<Record<string, Tracker>>;
  readonly read: (readings: Readings) => number;
} {
  if (p.schedule === "constant") return { trackers: {}, read: () => p.mu };
  const success = successOf("canon", p);
  const rate = (scores: Float64Array): number =>
    success(scores).reduce((sum, x) => sum + x, 0) / scores.length;
  const mu = {
    "first-inter": (_: number, scores: Float64Array) => 1 - rate(scores),
    "first-intra": (_: number, scores: Float64Array) => rate(scores),
    "cosine-first-inter": (n: number) => cosineWithRestarts(n, p),
    "cosine-first-intra": (n: number) => 1 - cosineWithRestarts(n, p),
  }[p.schedule];
  return {
    trackers: { [NAME]: muTracker(mu) },
    read: (readings) => readings[NAME]?.["mu"] ?? p.mu,
  };
}
