/** What a checkpoint keeps of the learner's ledger: which work is settled, and the counts. */
import { z } from "zod";
import type { Count } from "../transport/transport.js";

type Interval = readonly [first: number, last: number];

/** Rollouts and steps that a run has done with, by what became of them. */
export interface SettledCounts {
  readonly trained: Count;
  readonly stale: Count;
  /** By reason. */
  readonly filtered: Readonly<Record<string, Count>>;
  readonly failed: Readonly<Record<string, Count>>;
}

export interface LedgerState {
  /** Settled work of each stream by name: merged intervals of its numbers, lowest first. */
  readonly settled: Readonly<Record<string, readonly Interval[]>>;
  /** Settled by another attempt than the first. */
  readonly laterAttempts: readonly (readonly [stream: string, number: number, attempt: number])[];
  readonly voidedGroups: readonly Interval[];
  readonly counts: SettledCounts;
}

const whole = z.int().min(0);
const intervals = z.array(z.tuple([whole, whole]));
const count = z.object({ rollouts: whole, steps: whole });
const byReason = z.record(z.string(), count);

export const ledgerStateSchema: z.ZodType<LedgerState> = z.object({
  settled: z.record(z.string(), intervals),
  laterAttempts: z.array(z.tuple([z.string(), whole, whole])),
  voidedGroups: intervals,
  counts: z.object({ trained: count, stale: count, filtered: byReason, failed: byReason }),
});
