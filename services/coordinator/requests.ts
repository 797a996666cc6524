/**
 * The requests: each attempt of each piece of work, in exactly one state.
 *
 * Always: a request is written down before it is granted, and its number is never used again. What is final (no
 * checkpoint that a learner may return to says otherwise) is counted and deleted.
 */
import type { Verdict } from "../../core/transport/transport.js";
import type { BranchPlan, RolloutRequest, WorkKey } from "../../core/types.js";
import type { RunState } from "./run-state.js";
import type { Statement, Store } from "./store.js";

/** open = with a seat or on its way */
export type RequestState = "open" | Verdict;

export interface RequestRow extends WorkKey {
  readonly requestId: number;
  readonly attempt: number;
  /** Name of the actor that it was granted to. */
  readonly actor: string;
  readonly leaseId: string;
  readonly seat: number;
  readonly seed: number;
  readonly start: RolloutRequest["start"];
  readonly maxSteps: number;
  readonly deadlineSeconds: number;
  /** A BranchPlan, JSON; null = none */
  readonly branches: string | null;
  readonly policyVersion: number;
  readonly exact: 0 | 1;
  readonly state: RequestState;
  readonly reason: string;
  /** null = the learner has not seen it */
  readonly steps: number | null;
  /** Version that the batch made, where trained; else −1. */
  readonly version: number;
  readonly finalFrom: number | null;
  /** null = no episode ended in it */
  readonly episodeReturn: number | null;
  readonly episodeLength: number | null;
}

/** A piece of work to be granted. */
export type Work = WorkKey &
  Pick<RolloutRequest, "attempt" | "seed" | "start" | "limits" | "branches" | "policyVersion" | "exact">;

/** What is under way. */
export interface InFlight {
  /** Steps of those that the learner has seen. */
  readonly steps: number;
  /** Requests of which nobody knows the steps yet. */
  readonly unseen: number;
  readonly requests: number;
}

/** Whom a request is granted to. */
export interface Holder {
  /** The actor's name. */
  readonly actor: string;
  readonly leaseId: string;
  readonly seat: number;
}

/** What becomes of a request. */
export type Settling = Pick<RequestRow, "state" | "reason" | "version" | "finalFrom"> &
  Partial<Pick<RequestRow, "steps" | "episodeReturn" | "episodeLength">>;

const IN_FLIGHT = "state IN ('open', 'held')";
const SAME_KEY = '"group" = ? AND task = ? AND member = ?';
const SIBLING = 's."group" = r."group" AND s.task = r.task AND s.member = r.member';
const NONE_IN_FLIGHT = `NOT EXISTS (SELECT 1 FROM requests s WHERE ${SIBLING} AND s.state IN ('open', 'held'))`;

/** Final themselves, or given up while another attempt is settled for good. */
const FOLDABLE = `
  SELECT r.requestId FROM requests r WHERE r.finalFrom <= ?1 AND ${NONE_IN_FLIGHT}
  UNION
  SELECT r.requestId FROM requests s JOIN requests r ON ${SIBLING}
  WHERE s.finalFrom <= ?1 AND s.state IN ('trained', 'stale', 'filtered')
    AND r.finalFrom IS NULL AND r.state = 'failed' AND ${NONE_IN_FLIGHT}`;

function isInFlight({ state }: { readonly state: RequestState }): boolean {
  return state === "open" || state === "held";
}

/** Keeps work from being issued again: somebody has it, or it is settled. */
export function isAlive({ state }: { readonly state: RequestState }): boolean {
  return state !== "failed";
}

export class Requests {
  /** null = to be summed up anew */
  private flight: { steps: number; unseen: number; requests: number } | null = null;
  private readonly insert: Statement<never>;
  private readonly byId: Statement<RequestRow>;
  private readonly byKey: Statement<RequestRow>;
  private readonly byGroup: Statement<RequestRow>;
  private readonly unheard: Statement<RequestRow>;
  private readonly ofLease: Statement<RequestRow>;
  private readonly move: Statement<never>;
  private readonly sum: Statement<InFlight>;
  private readonly foldable: Statement<{ readonly requestId: number }>;
  private readonly fold: Statement<never>;
  private readonly remove: Statement<never>;

  constructor(
    store: Store,
    private readonly run: RunState,
  ) {
    this.insert = store.prepare(
      'INSERT INTO requests (requestId, task, "group", member, attempt, actor, leaseId, seat, seed, start, maxSteps, ' +
        "deadlineSeconds, branches, policyVersion, exact) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.byId = store.prepare("SELECT * FROM requests WHERE requestId = ?");
    this.byKey = store.prepare(`SELECT * FROM requests WHERE ${SAME_KEY} ORDER BY attempt`);
    this.byGroup = store.prepare('SELECT * FROM requests WHERE "group" = ? ORDER BY member, attempt');
    this.unheard = store.prepare(
      "SELECT * FROM requests WHERE state = 'open' AND leaseId = ? AND seat = ? AND requestId > ? " +
        "ORDER BY requestId LIMIT ?",
    );
    this.ofLease = store.prepare(
      "SELECT * FROM requests WHERE state = 'open' AND leaseId = ? ORDER BY seat, requestId",
    );
    this.move = store.prepare(
      "UPDATE requests SET state = ?, reason = ?, version = ?, finalFrom = ?, steps = ?, episodeReturn = ?, " +
        "episodeLength = ? WHERE requestId = ?",
    );
    this.sum = store.prepare(
      "SELECT COALESCE(SUM(steps), 0) AS steps, COUNT(*) - COUNT(steps) AS unseen, COUNT(*) AS requests FROM requests " +
        `WHERE ${IN_FLIGHT}`,
    );
    this.foldable = store.prepare(FOLDABLE);
    this.fold = store.prepare(
      "INSERT INTO folded SELECT state, reason, version, COUNT(*), SUM(COALESCE(steps, 0)) FROM requests " +
        "WHERE requestId IN (SELECT value FROM json_each(?)) GROUP BY state, reason, version " +
        "ON CONFLICT DO UPDATE SET rollouts = rollouts + excluded.rollouts, steps = steps + excluded.steps",
    );
    this.remove = store.prepare("DELETE FROM requests WHERE requestId IN (SELECT value FROM json_each(?))");
    store.onRollback(() => this.forgetSum());
  }

  /** Open and held. */
  get inFlight(): InFlight {
    if (this.flight === null) {
      const { steps, unseen, requests } = this.sum.get()!;
      this.flight = { steps, unseen, requests };
    }
    return this.flight;
  }

  grant(work: Work, { actor, leaseId, seat }: Holder): RolloutRequest {
    const { lastRequestId, submitted } = this.run.now;
    const requestId = lastRequestId + 1;
    const { task, group, member, attempt, seed, start, limits, branches } = work;
    const { policyVersion, exact } = work;
    this.run.set({ lastRequestId: requestId, submitted: submitted + 1 });
    this.insert.run(
      ...[requestId, task, group, member, attempt],
      ...[actor, leaseId, seat, seed, start],
      ...[limits.maxSteps, limits.deadlineSeconds, branches === null ? null : JSON.stringify(branches)],
      ...[policyVersion, exact ? 1 : 0],
    );
    this.count(null, 1);
    return {
      ...{ requestId, task, group, member, attempt, seat, seed, start },
      ...{ limits, branches, policyVersion, exact },
    };
  }

  find(requestId: number): RequestRow | null {
    return this.byId.get(requestId) ?? null;
  }

  /** Every attempt of one piece of work, by attempt. */
  attemptsOf({ group, task, member }: WorkKey): RequestRow[] {
    return this.byKey.all(group, task, member);
  }

  /** Every attempt of every member, by member and attempt. For runs whose groups are numbered over the whole run. */
  ofGroup(group: number): RequestRow[] {
    return this.byGroup.all(group);
  }

  /** Open requests that a seat does not know of. */
  grantedBeyond(leaseId: string, seat: number, lastRequestId: number, limit: number): RequestRow[] {
    return this.unheard.all(leaseId, seat, lastRequestId, limit);
  }

  openOf(leaseId: string): RequestRow[] {
    return this.ofLease.all(leaseId);
  }

  settle(row: RequestRow, settling: Settling): void {
    const { state, reason, version, finalFrom } = settling;
    const steps = settling.steps ?? row.steps;
    const episodeReturn = settling.episodeReturn ?? row.episodeReturn;
    const episodeLength = settling.episodeLength ?? row.episodeLength;
    this.move.run(state, reason, version, finalFrom, steps, episodeReturn, episodeLength, row.requestId);
    if (row.steps === null && steps !== null) this.run.set({ seenSteps: this.run.now.seenSteps + steps });
    if (isInFlight(row)) this.count(row.steps, -1);
    if (isInFlight(settling)) this.count(steps, 1);
  }

  /** To be called after requests were changed otherwise. */
  forgetSum(): void {
    this.flight = null;
  }

  /** Counts and deletes what a checkpoint of `version` makes final. */
  foldUpTo(version: number): void {
    const ids = JSON.stringify(this.foldable.all(version).map(({ requestId }) => requestId));
    if (ids === "[]") return;
    this.fold.run(ids);
    this.remove.run(ids);
  }

  private count(steps: number | null, sign: 1 | -1): void {
    if (this.flight === null) return;
    this.flight.requests += sign;
    if (steps === null) this.flight.unseen += sign;
    else this.flight.steps += sign * steps;
  }
}

/** As it is told to the seat. */
export function requestOf(row: RequestRow): RolloutRequest {
  const { requestId, task, group, member, attempt, seat, seed, start, policyVersion } = row;
  const limits = { maxSteps: row.maxSteps, deadlineSeconds: row.deadlineSeconds };
  const branches = row.branches === null ? null : (JSON.parse(row.branches) as BranchPlan);
  return {
    ...{ requestId, task, group, member, attempt, seat, seed, start },
    ...{ limits, branches, policyVersion, exact: row.exact === 1 },
  };
}
