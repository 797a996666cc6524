/**
 * What becomes of requests, and what follows from it.
 *
 * Always: the learner's word counts above what the coordinator believed. A request that was given up (`leaseEnded`,
 * `deadline`, `rolledBack` …) is trained if the learner says so; one that the learner has trained or dropped stays
 * that until another learner takes its place. Saying it twice changes nothing.
 */
import type { Outcome } from "../../core/transport/transport.js";
import { isAlive, type RequestRow, type Requests } from "./requests.js";
import type { RunState } from "./run-state.js";
import type { WorkSource } from "./work-source.js";

export class Outcomes {
  constructor(
    private readonly requests: Requests,
    private readonly run: RunState,
    private readonly work: WorkSource,
  ) {}

  /** Returns the request as it was before, where this is news; null where it is not. */
  apply(outcome: Outcome): RequestRow | null {
    const row = this.requests.find(outcome.requestId);
    // Unknown: final and deleted long ago.
    if (row === null || !isNews(row, outcome)) return null;
    const { verdict, reason, steps, version, episodeReturn, episodeLength } = outcome;
    this.requests.settle(row, {
      state: verdict,
      reason,
      version: verdict === "trained" ? version : -1,
      finalFrom: this.finalFrom(outcome),
      steps,
      episodeReturn: numberOrNull(episodeReturn),
      episodeLength: numberOrNull(episodeLength),
    });
    if (verdict !== "failed") this.work.arrived(row, this.requests.find(row.requestId)!);
    else if (reason !== "duplicate") this.loseUnlessAlive(row, reason);
    return row;
  }

  /** Its seat has given it back, its lease has ended or its time is over. */
  fail(row: RequestRow, reason: string): void {
    this.requests.settle(row, { state: "failed", reason, version: -1, finalFrom: null });
    this.loseUnlessAlive(row, reason);
  }

  /** What was dropped while version v was the newest is in every checkpoint above v. */
  private finalFrom({ verdict, version }: Outcome): number | null {
    if (verdict === "held") return null;
    return verdict === "trained" ? version : this.run.now.policyVersion + 1;
  }

  private loseUnlessAlive(row: RequestRow, reason: string): void {
    const attempts = this.requests.attemptsOf(row);
    if (attempts.some(isAlive)) return;
    this.work.lost(attempts.at(-1) ?? row, reason);
  }
}

function isNews({ state, reason }: RequestRow, outcome: Outcome): boolean {
  if (state === "open") return true;
  if (state === "held") return outcome.verdict !== "held";
  return state === "failed" && (outcome.verdict !== "failed" || outcome.reason !== reason);
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
