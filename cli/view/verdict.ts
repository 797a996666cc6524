/** How a run ended, in one sentence. */
import type { FinishedEvent } from "../../core/progress.js";
import { formatCount, formatDuration, formatValue } from "./format.js";
import type { Style } from "./text.js";

export interface Verdict {
  readonly text: string;
  readonly style: Style;
}

/** What the mean is over: the last 100 episodes, or all of them while there are fewer; null = not known. */
function sample(episodes: number | null): string {
  if (episodes === null || episodes < 1 || episodes >= 100) return "the last 100 episodes";
  return episodes === 1 ? "1 episode" : `${formatCount(episodes)} episodes`;
}

/** `episodes` = how many have ended in all, where that is known. */
export function verdict(finished: FinishedEvent, episodes: number | null): Verdict {
  const { envSteps, wallSeconds, meanReturn100 } = finished;
  const mean = Number.isFinite(meanReturn100)
    ? `mean return ${formatValue(meanReturn100)} over ${sample(episodes)}`
    : "no episode has ended";
  const took = `${formatCount(envSteps)} env steps in ${formatDuration(wallSeconds)}`;
  switch (finished.reason) {
    case "solved":
      return { text: `Solved: ${mean} after ${took}`, style: "good" };
    case "steps":
      return { text: `Finished: ${mean} after ${took}`, style: "strong" };
    case "stopped":
      return { text: `Stopped: ${mean} after ${took}`, style: "warn" };
    case "failed":
      return { text: `Failed: ${mean} after ${took}`, style: "bad" };
  }
}
