/**
 * What is said about rollouts: to the coordinator as outcomes, and then to their senders.
 *
 * Always: a sender is answered only once the coordinator has confirmed the outcome and, with `ack: onCheckpoint`, a
 * checkpoint holds what was learned. So what the coordinator believes to be on its way can still be delivered by
 * somebody, whatever dies when. An outcome is repeated until it is confirmed; a later one for the same request takes
 * its place. So there are never more outcomes than rollouts held and deliveries without an answer, which their
 * senders bound, and those that a checkpoint carried.
 */
import type { Outcome, RolloutDelivery } from "../../core/transport/transport.js";

/** What a sender is told: null = it may forget the rollout; else why it was refused. */
export type Refusal = string | null;

interface Settlement {
  readonly outcome: Outcome;
  confirmed: boolean;
  /** null = the rollout is held */
  readonly done: Done | null;
}

interface Done {
  /** The newest delivery; null = none in the life of this process. */
  delivery: RolloutDelivery | null;
  readonly refusal: Refusal;
  /** The sender is answered once a checkpoint of this version is on disk. */
  readonly safeFrom: number;
}

/** What the coordinator has not confirmed. */
export interface Unconfirmed {
  readonly outcomes: readonly Outcome[];
  /** To be called once it has. */
  readonly confirm: () => void;
}

/** Safe whatever is on disk. */
export const ANY_VERSION = -1;

export class Settlements {
  /** Called when a rollout is done with that was not trained on. */
  onDropped: () => void = () => undefined;
  /** By `requestId`, in the order in which they were last said. */
  private readonly open = new Map<number, Settlement>();

  /** `onDisk`: the newest version that a checkpoint holds, −1 = none; `outcomes`: those that the checkpoint carries. */
  constructor(
    private onDisk: number,
    outcomes: readonly Outcome[] = [],
  ) {
    for (const outcome of outcomes) {
      this.put({
        outcome,
        confirmed: false,
        done: { delivery: null, refusal: null, safeFrom: ANY_VERSION },
      });
    }
  }

  /** Newest version that a checkpoint holds; −1 = none. */
  get checkpointVersion(): number {
    return this.onDisk;
  }

  /** Done with, but not yet confirmed: what a checkpoint has to carry. */
  get unconfirmedDone(): Outcome[] {
    return [...this.open.values()]
      .filter(({ confirmed, done }) => !confirmed && done !== null)
      .map(({ outcome }) => outcome);
  }

  /** Some sender waits for a newer checkpoint than there is. */
  get awaitCheckpoint(): boolean {
    return [...this.open.values()].some(({ done }) => done !== null && done.safeFrom > this.onDisk);
  }

  hold(outcome: Outcome): void {
    this.put({ outcome, confirmed: false, done: null });
  }

  /** The rollout of `delivery` is done with. `safeFrom` as in Done. */
  settle(delivery: RolloutDelivery, outcome: Outcome, refusal: Refusal, safeFrom: number): void {
    this.put({ outcome, confirmed: false, done: { delivery, refusal, safeFrom } });
    if (outcome.verdict !== "trained") this.onDropped();
  }

  /** true = it repeats one that is done with and not answered yet: the answer will go to this delivery. */
  repeats(delivery: RolloutDelivery): boolean {
    const done = this.open.get(delivery.rollout.requestId)?.done;
    if (done === undefined || done === null) return false;
    done.delivery = delivery;
    return true;
  }

  unconfirmed(): Unconfirmed {
    const said = [...this.open.values()].filter(({ confirmed }) => !confirmed);
    return {
      outcomes: said.map(({ outcome }) => outcome),
      confirm: () => {
        for (const settlement of said) {
          settlement.confirmed = true;
          this.answer(settlement);
        }
      },
    };
  }

  /** A checkpoint of `version` is on disk. */
  saved(version: number): void {
    this.onDisk = version;
    for (const settlement of this.open.values()) this.answer(settlement);
  }

  private put(settlement: Settlement): void {
    const { requestId } = settlement.outcome;
    this.open.delete(requestId);
    this.open.set(requestId, settlement);
  }

  /** Answers the sender where its time has come. */
  private answer(settlement: Settlement): void {
    const { outcome, confirmed, done } = settlement;
    if (!confirmed || (done !== null && done.safeFrom > this.onDisk)) return;
    if (this.open.get(outcome.requestId) === settlement) this.open.delete(outcome.requestId);
    if (done === null || done.delivery === null) return;
    if (done.refusal === null) done.delivery.ack();
    else done.delivery.reject(done.refusal);
  }
}
