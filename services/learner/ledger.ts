/**
 * Which work is settled: trained on, or dropped for good. It is part of the checkpoint, so that weights and ledger go
 * back together, and no work is ever trained twice into the weights that survive.
 *
 * Always: it grows with what went wrong, not with the run. Work that is settled in order is one interval a stream; a
 * group that was void and an attempt after the first add a few numbers each.
 */
import type { Count, Verdict } from "../../core/transport/transport.js";
import type { WorkKey } from "../../core/types.js";
import type { LedgerState, SettledCounts } from "../../core/weights/ledger-state.js";
import { IntervalSet } from "./interval-set.js";

/** Where a piece of work stands: number `number` of its stream. */
export interface Place {
  readonly stream: string;
  readonly number: number;
}

/** Groups share one stream, member by member; the fragments of a seat are a stream of their own. */
export function placeOf({ task, group, member }: WorkKey, groupSize: number | null): Place {
  return groupSize === null
    ? { stream: task, number: group }
    : { stream: "groups", number: group * groupSize + member };
}

const NOTHING: Count = { rollouts: 0, steps: 0 };

export const EMPTY_LEDGER: LedgerState = {
  settled: {},
  laterAttempts: [],
  voidedGroups: [],
  counts: { trained: NOTHING, stale: NOTHING, filtered: {}, failed: {} },
};

/** One rollout more (or `rollouts` of them), of `steps` steps. */
export function plus(count: Count, steps: number, rollouts = 1): Count {
  return { rollouts: count.rollouts + rollouts, steps: count.steps + steps };
}

function sorted<T>(record: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...record].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export class Ledger {
  private readonly streams: Map<string, IntervalSet>;
  /** Of what another attempt than the first has settled, by stream and number. */
  private readonly laterAttempts = new Map<string, Map<number, number>>();
  private readonly voided: IntervalSet;
  private settledCounts: SettledCounts;

  constructor(state: LedgerState = EMPTY_LEDGER) {
    this.streams = new Map(
      Object.entries(state.settled).map(([name, intervals]) => [name, new IntervalSet(intervals)]),
    );
    for (const [stream, number, attempt] of state.laterAttempts) this.remember(stream, number, attempt);
    this.voided = new IntervalSet(state.voidedGroups);
    this.settledCounts = state.counts;
  }

  get counts(): SettledCounts {
    return this.settledCounts;
  }

  /** The same ledger gives the same state, key by key. */
  get state(): LedgerState {
    const settled = [...this.streams].map(([name, set]) => [name, set.intervals] as const);
    const later = Object.entries(sorted(this.laterAttempts)).flatMap(([stream, attempts]) =>
      [...attempts]
        .sort(([a], [b]) => a - b)
        .map(([number, attempt]): [string, number, number] => [stream, number, attempt]),
    );
    const { trained, stale, filtered, failed } = this.settledCounts;
    return {
      settled: sorted(settled),
      laterAttempts: later,
      voidedGroups: this.voided.intervals,
      counts: {
        trained,
        stale,
        filtered: sorted(Object.entries(filtered)),
        failed: sorted(Object.entries(failed)),
      },
    };
  }

  /** The attempt that settled this work; null = it is not settled. */
  settledBy({ stream, number }: Place): number | null {
    if (this.streams.get(stream)?.has(number) !== true) return null;
    return this.laterAttempts.get(stream)?.get(number) ?? 1;
  }

  settle({ stream, number }: Place, attempt: number): void {
    let set = this.streams.get(stream);
    if (set === undefined) this.streams.set(stream, (set = new IntervalSet()));
    set.add(number);
    if (attempt > 1) this.remember(stream, number, attempt);
  }

  isVoid(group: number): boolean {
    return this.voided.has(group);
  }

  voidGroup(group: number): void {
    this.voided.add(group);
  }

  /** One more rollout that is done with. */
  count(verdict: Exclude<Verdict, "held">, reason: string, steps: number): void {
    const counts = this.settledCounts;
    this.settledCounts =
      verdict === "trained" || verdict === "stale"
        ? { ...counts, [verdict]: plus(counts[verdict], steps) }
        : {
            ...counts,
            [verdict]: { ...counts[verdict], [reason]: plus(counts[verdict][reason] ?? NOTHING, steps) },
          };
  }

  /** Everything counted so far. */
  get total(): Count {
    const { trained, stale, filtered, failed } = this.settledCounts;
    const all = [trained, stale, ...Object.values(filtered), ...Object.values(failed)];
    return {
      rollouts: all.reduce((sum, { rollouts }) => sum + rollouts, 0),
      steps: all.reduce((sum, { steps }) => sum + steps, 0),
    };
  }

  private remember(stream: string, number: number, attempt: number): void {
    let attempts = this.laterAttempts.get(stream);
    if (attempts === undefined) this.laterAttempts.set(stream, (attempts = new Map<number, number>()));
    attempts.set(number, attempt);
  }
}
