/** Between which quantiles of the scores of papers a score is measured (RiskPO). */
import { scoreQuantiles, trackQuantile, type ScoreQuantiles } from "../../algo/risk.js";
import type { Readings, Tracker } from "../../slots/recipe.js";
import { bundlesOf } from "./papers.js";

export interface PaperQuantiles {
  readonly bundleGroups: number;
  readonly quantileLow: number;
  readonly quantileHigh: number;
  /** track = followed over the run; batch = of each bundle alone; mix = the mean of both */
  readonly quantiles: "track" | "batch" | "mix";
  /** η, units of a paper's score */
  readonly quantileRate: number;
}

const NAME = "paperQuantiles";

/** null before the first batch, whose quantiles are those of all its papers. */
function quantileTracker(p: PaperQuantiles): Tracker<ScoreQuantiles | null> {
  const [low, high] = [p.quantileLow, p.quantileHigh];
  return {
    initial: null,
    observe(state, batch) {
      const scores = bundlesOf(batch, p.bundleGroups).flatMap((bundle) => [...bundle.scores]);
      if (state === null) return scoreQuantiles(Float64Array.from(scores), { low, high });
      return {
        low: trackQuantile(state.low, scores, low, p.quantileRate),
        high: trackQuantile(state.high, scores, high, p.quantileRate),
      };
    },
    read: (state) => ({ ...state }),
  };
}

/** The tracker that is needed, and the quantiles for a bundle of papers with these scores. */
export function paperQuantiles(p: PaperQuantiles): {
  readonly trackers: Readonly<Record<string, Tracker>>;
  readonly read: (readings: Readings, scores: Float64Array) => ScoreQuantiles;
} {
  return {
    trackers: p.quantiles === "batch" ? {} : { [NAME]: quantileTracker(p) },
    read({ [NAME]: tracked = {} }, scores) {
      const own = scoreQuantiles(scores, { low: p.quantileLow, high: p.quantileHigh });
      const { low = own.low, high = own.high } = tracked;
      if (p.quantiles === "track") return { low, high };
      if (p.quantiles === "batch") return own;
      return { low: (low + own.low) / 2, high: (high + own.high) / 2 };
    },
  };
}
