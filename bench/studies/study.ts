/** What a study is: arms that differ in one thing, run with the same seeds, and what is claimed of them. */
import type { ProgressEvent } from "../../core/progress.js";

/** A part of a run file. */
export type RunFile = Readonly<Record<string, unknown>>;

export interface Arm {
  readonly name: string;
  /** Laid over the study's `base`, key by key. */
  readonly run: RunFile;
}

/** One number of a run. */
export interface Measure {
  readonly name: string;
  readonly of: (run: readonly ProgressEvent[]) => number;
  /** Decimals shown. */
  readonly digits: number;
}

export interface Claim {
  readonly measure: string;
  /** above = the interval of the difference a − b lies above 0; atLeast = it lies above −margin */
  readonly kind: "above" | "atLeast";
  readonly a: string;
  readonly b: string;
  readonly margin?: number;
}

export interface Study {
  readonly name: string;
  readonly title: string;
  /** Markdown: what is asked, and what is known about it. */
  readonly question: string;
  readonly base: RunFile;
  readonly arms: readonly Arm[];
  readonly seeds: number;
  readonly measures: readonly Measure[];
  readonly claims: readonly Claim[];
  /** What is drawn over environment steps; null where nothing is known yet. */
  readonly curve: { readonly title: string; readonly of: (event: ProgressEvent) => number | null };
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Over the last tenth of a run's steps. */
export const finalReturn: Measure = {
  name: "final return",
  digits: 1,
  of: (run) => {
    const end = run[run.length - 1]?.envSteps ?? 0;
    return mean(run.filter(({ envSteps }) => envSteps >= 0.9 * end).map((event) => event.meanReturn100));
  },
};

/** Over the whole run, each progress event weighing as many steps as it stands for. */
export const meanReturn: Measure = {
  name: "return over the run",
  digits: 1,
  of: (run) => {
    let [sum, from] = [0, 0];
    for (const { envSteps, meanReturn100 } of run) {
      sum += (envSteps - from) * (Number.isFinite(meanReturn100) ? (meanReturn100 ?? 0) : 0);
      from = envSteps;
    }
    return sum / from;
  },
};

export const returnCurve: Study["curve"] = {
  title: "mean return of the last 100 episodes",
  of: ({ meanReturn100 }) => meanReturn100,
};

/** Mean over batches of the share of groups whose scores differ. */
export const informativeGroups: Measure = {
  name: "informative groups",
  digits: 3,
  of: (run) => mean(run.map(({ stats }) => stats["informativeGroups"] ?? Number.NaN)),
};

/** Mean over batches, versions. */
export const meanPolicyLag: Measure = {
  name: "policyLag",
  digits: 2,
  of: (run) => mean(run.map(({ policyLagMean }) => policyLagMean)),
};
