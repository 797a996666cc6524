/** The learner's side of the books: whatever becomes of a rollout is counted, told and, in time, answered here. */
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { Outcome, RolloutDelivery, Verdict } from "../../core/transport/transport.js";
import { rowCount, stepCount, type Rollout } from "../../core/types.js";
import type { Ledger } from "./ledger.js";
import { ANY_VERSION, type Refusal, type Settlements } from "./settlements.js";

/** A rollout as far as it concerns the books. */
export interface Summary extends Pick<Outcome, "requestId" | "steps" | "episodeReturn" | "episodeLength"> {
  readonly rows: number;
}

/** What became of a rollout; with a version where it was trained on. */
export interface Said {
  readonly verdict: Exclude<Verdict, "held">;
  readonly reason: string;
  readonly version?: number;
}

export const STALE: Said = { verdict: "stale", reason: "" };
export const VOIDED: Said = { verdict: "filtered", reason: "voidedGroup" };
export const DUPLICATE: Said = { verdict: "failed", reason: "duplicate" };
export const REFUSED: Said = { verdict: "failed", reason: "refused" };

const NO_VERSION = -1;
const NO_EPISODES = { episodeReturn: Number.NaN, episodeLength: Number.NaN };

/** Mean of what is not NaN; NaN where all is. */
function meanOf(values: Float32Array | undefined): number {
  let sum = 0;
  let count = 0;
  for (const value of values ?? []) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return count === 0 ? Number.NaN : sum / count;
}

export function summaryOf({ requestId, columns }: Rollout): Summary {
  return {
    requestId,
    steps: stepCount(columns),
    rows: rowCount(columns),
    episodeReturn: meanOf(columns.rowCounters["episodeReturn"]),
    episodeLength: meanOf(columns.rowCounters["episodeLength"]),
  };
}

function outcomeOf(summary: Summary, verdict: Verdict, reason = "", version = NO_VERSION): Outcome {
  const { requestId, steps, episodeReturn, episodeLength } = summary;
  return { requestId, verdict, reason, steps, version, episodeReturn, episodeLength };
}

export class Books {
  constructor(
    private readonly ledger: Ledger,
    private readonly settlements: Settlements,
    private readonly metrics: LearnerMetrics,
  ) {}

  hold(summary: Summary): void {
    this.settlements.hold(outcomeOf(summary, "held"));
  }

  /** true = it repeats one whose answer is still to come, and will get that. */
  repeats(delivery: RolloutDelivery): boolean {
    return this.settlements.repeats(delivery);
  }

  /** `safeFrom`: the version of the checkpoint that its sender's answer waits for; `refusal`: what it is told then. */
  settle(
    delivery: RolloutDelivery,
    summary: Summary,
    { verdict, reason, version }: Said,
    {
      safeFrom = ANY_VERSION,
      refusal = null,
    }: { readonly safeFrom?: number; readonly refusal?: Refusal } = {},
  ): void {
    const label = reason === "" ? verdict : reason;
    this.metrics.settledRollouts.inc(label);
    this.metrics.settledSteps.inc(label, summary.steps);
    this.ledger.count(verdict, reason, summary.steps);
    // What was refused is not believed either where it tells of its episodes.
    const believed = refusal === null ? summary : { ...summary, ...NO_EPISODES };
    const outcome = outcomeOf(believed, verdict, reason, version);
    this.settlements.settle(delivery, outcome, refusal, safeFrom);
  }
}
