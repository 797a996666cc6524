/**
 * Hands out work and bounds staleness.
 *
 * Always: pending = steps the learner has received and not yet disposed of + steps of requests granted that the
 * learner has not yet confirmed. Work is granted only while pending < (maxPolicyLag + 1) batches of whole
 * fragments, so at most maxPolicyLag batches are ahead of a fragment when it starts. Pending rests on the learner's
 * own counts, sent with every report: whatever was lost or repeated on the way, the next report puts it right.
 */
import type { RolloutRequest } from "../../core/types.js";

export interface WorkGateOptions {
  /** Steps of one training batch. */
  readonly batchSteps: number;
  /** Steps of one fragment of one seat. */
  readonly fragmentSteps: number;
  readonly maxPolicyLag: number;
  /** Fragment k of every seat is collected with version k − 2 exactly (one behind the version it trains). */
  readonly deterministic: boolean;
}

/** The learner's side of the books. */
export interface LearnerCounts {
  /** Steps taken in, repeats included. */
  readonly receivedSteps: number;
  /** Steps trained on or dropped. */
  readonly disposedSteps: number;
  /** Last fragment received of each seat. */
  readonly seatSequences: readonly (readonly [seat: number, sequence: number])[];
}

interface Grant {
  readonly request: RolloutRequest;
  readonly leaseId: string;
  /** The actor says the learner has it; the learner's next report will agree. */
  completed: boolean;
}

export class WorkGate {
  private readonly grants = new Map<number, Grant>();
  private readonly nextSequence = new Map<number, number>();
  private readonly received = new Map<number, number>();
  private heldSteps = 0;
  private firstVersion = 0;
  private version = 0;
  private lastRequestId = 0;
  private open = false;
  /** Steps that a batch really takes: its last rollout is taken whole. */
  private readonly wholeBatchSteps: number;

  constructor(private readonly options: WorkGateOptions) {
    const { batchSteps, fragmentSteps } = options;
    this.wholeBatchSteps = Math.ceil(batchSteps / fragmentSteps) * fragmentSteps;
  }

  /** Steps granted and not confirmed. */
  get runningSteps(): number {
    return this.grants.size * this.options.fragmentSteps;
  }

  /** Steps between grant and disposal. */
  get pendingSteps(): number {
    return this.heldSteps + this.runningSteps;
  }

  /** A learner has (re)started at `version`: earlier grants are void, work may flow. */
  start(version: number, counts: LearnerCounts): void {
    this.grants.clear();
    this.nextSequence.clear();
    this.received.clear();
    this.firstVersion = version;
    this.version = version;
    this.open = true;
    this.reconcile(version, counts);
  }

  /** No learner, or it is done: nothing is granted until `start`. */
  stop(): void {
    this.open = false;
  }

  /** Takes over the learner's counts. */
  reconcile(version: number, counts: LearnerCounts): void {
    this.version = Math.max(this.version, version);
    this.heldSteps = Math.max(0, counts.receivedSteps - counts.disposedSteps);
    for (const [seat, sequence] of counts.seatSequences) {
      this.received.set(seat, Math.max(sequence, this.received.get(seat) ?? 0));
    }
    for (const [id, { request }] of this.grants) {
      if (request.sequence <= (this.received.get(request.seat) ?? 0)) this.grants.delete(id);
    }
  }

  /** The next fragment for `seat`, or null while enough work is pending. */
  grant(seat: number, leaseId: string): RolloutRequest | null {
    if (!this.open) return null;
    const floor = this.options.deterministic ? this.firstVersion : 0;
    const sequence = Math.max(this.nextSequence.get(seat) ?? 0, (this.received.get(seat) ?? floor) + 1);
    const exactVersion = Math.max(this.firstVersion, sequence - 2);
    const allowed = this.options.deterministic
      ? exactVersion <= this.version
      : this.pendingSteps < (this.options.maxPolicyLag + 1) * this.wholeBatchSteps;
    if (!allowed) return null;
    const request: RolloutRequest = {
      requestId: ++this.lastRequestId,
      seat,
      sequence,
      policyVersion: this.options.deterministic ? exactVersion : this.version,
      exact: this.options.deterministic,
    };
    this.grants.set(request.requestId, { request, leaseId, completed: false });
    this.nextSequence.set(seat, sequence + 1);
    return request;
  }

  /** A request of another lease is not meant: ids begin anew when the coordinator does. */
  complete(requestId: number, leaseId: string): void {
    const grant = this.grants.get(requestId);
    if (grant?.leaseId === leaseId) grant.completed = true;
  }

  /** The lease is gone: what it had not delivered will be issued again. Returns how many requests that were. */
  void(leaseId: string): number {
    let count = 0;
    for (const [id, grant] of this.grants) {
      if (grant.leaseId !== leaseId || grant.completed) continue;
      this.grants.delete(id);
      const { seat, sequence } = grant.request;
      this.nextSequence.set(seat, Math.min(sequence, this.nextSequence.get(seat) ?? sequence));
      count++;
    }
    return count;
  }
}
