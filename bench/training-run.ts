/** `skein train` as a user starts it: real processes, measured over the steady part of the run. */
import { fileURLToPath } from "node:url";
import { SkeinError } from "../core/errors.js";
import type { ProgressEvent, RunEvent } from "../core/progress.js";
import { LineProcess } from "./lines.js";
import { between, scrape, type Sums } from "./scrape.js";

const MAIN = fileURLToPath(new URL("../cli/main.js", import.meta.url));
/** Between two events of a run that is not stuck. */
const EVENT_SECONDS = 120;

export interface Window {
  /** Left out: compiling, first batches. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface Steady {
  readonly envStepsPerSecond: number;
  readonly meanReturn100: number;
  /** What the services counted in the window. */
  readonly sums: Sums;
}

class TrainingRun {
  private readonly lines: LineProcess;
  private readonly addresses: string[] = [];
  private notice = "";

  constructor(args: readonly string[], cwd: string) {
    this.lines = LineProcess.node("skein train", [MAIN, "train", ...args, "--json"], cwd);
  }

  /** The first progress event at or after `wallSeconds` of the learner's clock. */
  async progressAt(wallSeconds: number): Promise<ProgressEvent> {
    for (;;) {
      const event = JSON.parse(await this.lines.next(EVENT_SECONDS)) as RunEvent;
      if (event.event === "listening" && event.http !== "") this.addresses.push(event.http);
      if (event.event === "notice" && event.level !== "info") this.notice = event.message;
      if (event.event === "progress" && event.wallSeconds >= wallSeconds) return event;
      if (event.event === "finished") {
        throw new SkeinError(
          "UNAVAILABLE",
          `skein train: expected it to last ${wallSeconds} s, it ended after ${event.wallSeconds.toFixed(1)} s ` +
            `(${event.reason}); raise stop.envSteps${this.notice === "" ? "" : `; it said: ${this.notice}`}`,
        );
      }
    }
  }

  async scrape(): Promise<Sums> {
    return scrape(this.addresses);
  }

  async close(): Promise<void> {
    await this.lines.close();
  }
}

/** `args`: run file and options of `skein train`. */
export async function measureTraining(
  args: readonly string[],
  cwd: string,
  { warmUpSeconds, seconds }: Window,
): Promise<Steady> {
  const run = new TrainingRun(args, cwd);
  try {
    const first = await run.progressAt(warmUpSeconds);
    const before = await run.scrape();
    const last = await run.progressAt(first.wallSeconds + seconds);
    const sums = between(before, await run.scrape());
    return {
      envStepsPerSecond: (last.envSteps - first.envSteps) / (last.wallSeconds - first.wallSeconds),
      meanReturn100: last.meanReturn100,
      sums,
    };
  } finally {
    await run.close();
  }
}
