/**
 * A learner in miniature: takes rollouts, holds them, trains whole batches, says what became of each until it is
 * confirmed, and only then lets senders forget. It says of itself what is true, which is what the books are held
 * against.
 */
import type { Outcome, ReportRequest, Verdict } from "../../core/transport/transport.js";
import type { RolloutRequest } from "../../core/types.js";

export interface Parcel {
  readonly request: RolloutRequest;
  readonly steps: number;
  /** Version it was collected with. */
  readonly version: number;
  readonly refused: boolean;
}

export interface LearnerOptions {
  readonly batchSteps: number;
  readonly maxPolicyLag: number;
  /** null = fragments */
  readonly groupSize: number | null;
  readonly ack: "onTrain" | "onCheckpoint";
}

export const keyOf = ({ task, group, member }: RolloutRequest): string => `${task}/${group}/${member}`;

/** Everything that a checkpoint keeps. */
interface Kept {
  readonly version: number;
  /** Request that settled each key. */
  readonly settled: ReadonlyMap<string, number>;
  /** Of the rollouts in the weights. */
  readonly trained: readonly RolloutRequest[];
  readonly unconfirmed: ReadonlyMap<number, Outcome>;
}

export class ScriptedLearner {
  version: number;
  held: Parcel[] = [];
  trained: RolloutRequest[];
  checkpoint: Kept;
  private readonly settled: Map<string, number>;
  private readonly unconfirmed: Map<number, Outcome>;
  /** Done with; settled with their senders once confirmed and, with onCheckpoint, once a checkpoint has that version. */
  private readonly answers = new Map<number, number>();

  constructor(
    private readonly options: LearnerOptions,
    from: Kept,
    /** As which the coordinator says to go on. */
    goOnAs: number,
    readonly incarnation: string,
    /** The sender may forget. */
    private readonly settle: (requestId: number) => void,
  ) {
    this.version = goOnAs;
    this.trained = [...from.trained];
    this.settled = new Map(from.settled);
    this.unconfirmed = new Map(from.unconfirmed);
    this.checkpoint = from;
  }

  static readonly nothing: Kept = { version: 0, settled: new Map(), trained: [], unconfirmed: new Map() };

  deliver(parcel: Parcel): void {
    const { request } = parcel;
    const { requestId } = request;
    if (this.held.some((other) => other.request.requestId === requestId)) return;
    if (parcel.refused || parcel.version > this.version) {
      this.say(parcel, "failed", "refused");
      return;
    }
    const settledBy = this.settled.get(keyOf(request));
    if (settledBy === requestId) this.answers.set(requestId, -1);
    else if (settledBy !== undefined || this.held.some((other) => keyOf(other.request) === keyOf(request)))
      this.say(parcel, "failed", "duplicate");
    else {
      this.held.push(parcel);
      this.say(parcel, "held", "");
    }
  }

  /** True where there was a batch. */
  train(): boolean {
    const { maxPolicyLag, batchSteps } = this.options;
    this.drop(({ version }) => this.version - version > maxPolicyLag, "stale", "");
    const batch: Parcel[] = [];
    for (const parcels of this.units()) {
      if (stepsOf(batch) >= batchSteps) break;
      batch.push(...parcels);
    }
    if (stepsOf(batch) < batchSteps) return false;
    this.version++;
    this.held = this.held.filter((parcel) => !batch.includes(parcel));
    for (const parcel of batch) {
      this.trained.push(parcel.request);
      this.settled.set(keyOf(parcel.request), parcel.request.requestId);
      this.say(parcel, "trained", "");
    }
    return true;
  }

  report(): Omit<ReportRequest, "leaseId"> {
    return {
      ...{ phase: "running", policyVersion: this.version, checkpointVersion: this.checkpoint.version },
      ...{ updates: this.version, envSteps: 0, meanReturn100: NaN },
      outcomes: [...this.unconfirmed.values()],
    };
  }

  /** The coordinator has answered that report. */
  confirm({ outcomes }: Omit<ReportRequest, "leaseId">, voidedGroups: readonly number[]): void {
    for (const outcome of outcomes) {
      if (this.unconfirmed.get(outcome.requestId) === outcome) this.unconfirmed.delete(outcome.requestId);
    }
    this.drop(({ request }) => voidedGroups.includes(request.group), "filtered", "voidedGroup");
    this.answer();
  }

  save(): void {
    this.checkpoint = {
      version: this.version,
      settled: new Map(this.settled),
      trained: [...this.trained],
      unconfirmed: new Map([...this.unconfirmed].filter(([, { verdict }]) => verdict !== "held")),
    };
    this.answer();
  }

  /** What a batch takes whole, oldest first. */
  private units(): Parcel[][] {
    const { groupSize } = this.options;
    if (groupSize === null) return this.held.map((parcel) => [parcel]);
    const groups = new Map<number, Parcel[]>();
    for (const parcel of this.held) {
      const { group } = parcel.request;
      groups.set(group, [...(groups.get(group) ?? []), parcel]);
    }
    return [...groups.values()].filter(({ length }) => length === groupSize);
  }

  private drop(which: (parcel: Parcel) => boolean, verdict: Verdict, reason: string): void {
    const { groupSize } = this.options;
    let gone = this.held.filter(which);
    if (verdict === "stale" && groupSize !== null) {
      // A group goes whole.
      const groups = new Set(gone.map(({ request }) => request.group));
      const whole = this.units().filter(([first]) => groups.has(first!.request.group));
      gone = whole.flat();
    }
    this.held = this.held.filter((parcel) => !gone.includes(parcel));
    for (const parcel of gone) {
      this.settled.set(keyOf(parcel.request), parcel.request.requestId);
      this.say(parcel, verdict, reason);
    }
  }

  private say({ request, steps }: Parcel, verdict: Verdict, reason: string): void {
    const { requestId } = request;
    const version = verdict === "trained" ? this.version : -1;
    const lengths = { episodeReturn: steps, episodeLength: steps };
    // Placed at the end: what is newest is told last.
    this.unconfirmed.delete(requestId);
    this.unconfirmed.set(requestId, { requestId, verdict, reason, steps, version, ...lengths });
    if (verdict === "held") return;
    const safeFrom = verdict === "trained" ? version : this.version + 1;
    this.answers.set(requestId, this.options.ack === "onTrain" ? -1 : safeFrom);
  }

  private answer(): void {
    for (const [requestId, safeFrom] of this.answers) {
      if (this.unconfirmed.has(requestId) || safeFrom > this.checkpoint.version) continue;
      this.answers.delete(requestId);
      this.settle(requestId);
    }
  }
}

function stepsOf(parcels: readonly Parcel[]): number {
  return parcels.reduce((sum, { steps }) => sum + steps, 0);
}
