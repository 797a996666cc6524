/**
 * The books of a run, worked out from the requests themselves each time. `submitted` is counted on its own, when a
 * request is granted, so that the identity submitted = trained + filtered + stale + failed + in flight can fail.
 */
import type { Books, Count } from "../../core/transport/transport.js";
import type { RunRecord } from "./run-state.js";
import type { Statement, Store } from "./store.js";

interface Line extends Count {
  readonly state: string;
  readonly reason: string;
}

const LINES = `
  SELECT state, reason, SUM(rollouts) AS rollouts, SUM(steps) AS steps FROM (
    SELECT state, reason, COUNT(*) AS rollouts, SUM(COALESCE(steps, 0)) AS steps FROM requests GROUP BY state, reason
    UNION ALL
    SELECT state, reason, SUM(rollouts), SUM(steps) FROM folded GROUP BY state, reason
  ) GROUP BY state, reason ORDER BY state, reason`;

export function sumOf(counts: Iterable<Count>): Count {
  let rollouts = 0;
  let steps = 0;
  for (const count of counts) {
    rollouts += count.rollouts;
    steps += count.steps;
  }
  return { rollouts, steps };
}

export class BookReader {
  private readonly lines: Statement<Line>;

  constructor(store: Store) {
    this.lines = store.prepare(LINES);
  }

  /** `run` as it stands at the same moment. */
  read({ submitted, seenSteps }: RunRecord): Books {
    const lines = this.lines.all();
    const of = (...states: readonly string[]): Count =>
      sumOf(lines.filter(({ state }) => states.includes(state)));
    const byReason = (wanted: string): Record<string, Count> =>
      Object.fromEntries(
        lines
          .filter(({ state }) => state === wanted)
          .map(({ reason, rollouts, steps }) => [reason, { rollouts, steps }]),
      );
    return {
      submitted: { rollouts: submitted, steps: seenSteps },
      trained: of("trained"),
      stale: of("stale"),
      filtered: byReason("filtered"),
      failed: byReason("failed"),
      inFlight: of("open", "held"),
    };
  }
}

/** submitted − (trained + filtered + stale + failed + in flight): zero while the books balance. */
export function imbalanceOf({ submitted, trained, stale, filtered, failed, inFlight }: Books): Count {
  const { rollouts, steps } = sumOf([
    trained,
    stale,
    inFlight,
    ...Object.values(filtered),
    ...Object.values(failed),
  ]);
  return { rollouts: submitted.rollouts - rollouts, steps: submitted.steps - steps };
}
