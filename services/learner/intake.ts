/**
 * Takes rollouts in and hands them out as batches.
 *
 * Always, in rollouts and in steps: received = trained + filtered + stale + failed + held. A rollout that repeats one
 * which is held, settled, or about to be answered is not received again: only its sender is answered anew. A batch
 * that was handed out is held until `trained`. Only this module drops rollouts, and it counts each one.
 *
 * Nothing is judged before `begin`: until the coordinator has said which version this learner goes on as, rollouts of
 * perfectly good versions would look as if they came from the future.
 *
 * Bounded: a sender gets room for more (`take`) only while fewer steps are taken than `capacitySteps`, or while the
 * learner waits and what it holds makes no batch; senders bound what they have sent and is not taken.
 */
import type { RunConfig } from "../../core/config/schema.js";
import type { Sampler } from "../../core/slots/recipe.js";
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { Count, RolloutDelivery } from "../../core/transport/transport.js";
import { stepCount, type Rollout } from "../../core/types.js";
import { batchfulOf, type Batchful } from "./batchful.js";
import { DUPLICATE, REFUSED, STALE, summaryOf, VOIDED, type Books, type Said } from "./books.js";
import { placeOf, plus, type Ledger, type Place } from "./ledger.js";
import { FilterGate } from "./filter-gate.js";
import { ReadyQueue, type Held, type Unit } from "./ready-queue.js";
import { oldestVersion, type RolloutCheck } from "./rollout-check.js";
import { ANY_VERSION } from "./settlements.js";

export interface IntakeOptions {
  readonly sampler: Sampler;
  readonly maxPolicyLag: RunConfig["staleness"]["maxPolicyLag"];
  /** Not null: a batch is the next fragment of each of these seats, in seat order. */
  readonly seats: number | null;
  /** Members of a group; null = fragments. */
  readonly groupSize: number | null;
  readonly ack: RunConfig["learner"]["ack"];
  readonly check: RolloutCheck;
  readonly ledger: Ledger;
  readonly books: Books;
  readonly metrics: LearnerMetrics;
  /** Called for every rollout that is held. */
  readonly progress: () => void;
  /** Told what the user should know. */
  readonly notice: (message: string) => void;
}

const keyOf = ({ stream, number }: Place): string => `${stream}:${number}`;

export class Intake {
  /** Steps that are taken at most, the last rollout whole, while there is a batch to train on. */
  readonly capacitySteps: number;
  private readonly ready: ReadyQueue;
  /** null = every group may enter a batch */
  private readonly filter: FilterGate | null;
  /** Arrived before `begin`. */
  private early: RolloutDelivery[] = [];
  private readonly all = new Map<string, Held>();
  private inTraining: Held[] = [];
  /** Held, and their senders have no room yet; in the order of arrival. */
  private untaken: Held[] = [];
  private readonly filteredReturns: Float32Array[] = [];
  private takenSteps = 0;
  private waiting: (() => void) | null = null;
  private version: number | null = null;
  private receivedCount: Count;
  private heldCount: Count = { rollouts: 0, steps: 0 };

  constructor(private readonly options: IntakeOptions) {
    const { batchSteps, filter, bundleGroups = 1 } = options.sampler;
    this.ready = new ReadyQueue({ ...options, batchSteps, bundle: bundleGroups });
    this.filter = filter === undefined ? null : new FilterGate(filter, batchSteps, options.notice);
    this.receivedCount = options.ledger.total;
    this.capacitySteps = (options.maxPolicyLag + 2) * batchSteps;
    options.metrics.heldStepsCapacity.set(this.capacitySteps);
  }

  /** Since the run began, as far as the ledger knows. */
  get received(): Count {
    return this.receivedCount;
  }

  get held(): Count {
    return this.heldCount;
  }

  private get oldestWanted(): number {
    return this.version! - this.options.maxPolicyLag;
  }

  /** The learner goes on as `version`. */
  begin(version: number): void {
    this.version = version;
    for (const delivery of this.early.splice(0)) this.deliver(delivery);
  }

  deliver(delivery: RolloutDelivery): void {
    if (this.version === null) {
      this.early.push(delivery);
      return;
    }
    const { check, books, metrics } = this.options;
    const { rollout } = delivery;
    metrics.rolloutBytes.inc(delivery.bytes);
    const mistaken = check.identity(rollout);
    if (mistaken?.reason === "run") {
      // Its request is not one of this run's: there is nothing to tell the coordinator.
      metrics.refusedRollouts.inc(mistaken.reason);
      delivery.reject(mistaken.text);
      return;
    }
    if (books.repeats(delivery)) return metrics.repeatedRollouts.inc();
    const place = placeOf(rollout, this.options.groupSize);
    if (mistaken === null && this.repeats(delivery, place)) return metrics.repeatedRollouts.inc();
    this.receivedCount = plus(this.receivedCount, stepCount(rollout.columns));
    metrics.receivedRollouts.inc();
    const unwanted = mistaken === null ? this.unwanted(rollout, place) : null;
    if (unwanted !== null) return books.settle(delivery, summaryOf(rollout), unwanted);
    const complaint = mistaken ?? check.content(rollout, this.version);
    if (complaint === null) return this.hold(delivery, place, this.version);
    metrics.refusedRollouts.inc(complaint.reason);
    books.settle(delivery, summaryOf(rollout), REFUSED, { refusal: complaint.text });
  }

  /** The next batch for the version at hand, or null when `signal` aborts first. */
  async next(signal: AbortSignal): Promise<Batchful | null> {
    while (!signal.aborted) {
      const batch = this.ready.takeBatch();
      if (batch !== null) {
        this.filter?.batchBegins();
        this.inTraining.push(...batch);
        return batchfulOf(batch, this.version!, this.filteredReturns.splice(0));
      }
      const changed = this.change(signal);
      this.makeRoom();
      await changed;
    }
    return null;
  }

  /**
   * The learner has trained what it was handed, which made `version`. To be called before that version is published:
   * else what is collected with it would look as if it came from the future.
   */
  trained(version: number): void {
    this.version = version;
    const safeFrom = this.options.ack === "onCheckpoint" ? version : ANY_VERSION;
    for (const held of this.inTraining.splice(0)) {
      this.finish(held, { verdict: "trained", reason: "", version }, safeFrom);
    }
    this.dropStale();
    this.makeRoom();
  }

  /** The coordinator has given these groups up. One that is complete here is trained all the same. */
  voidGroups(groups: readonly number[]): void {
    const { ledger, groupSize } = this.options;
    if (groupSize === null) return;
    for (const group of groups) {
      if (ledger.isVoid(group)) continue;
      const members = this.ready.giveUp(group);
      const first = placeOf({ task: "", group, member: 0 }, groupSize);
      const complete =
        members.length === 0 && (this.all.has(keyOf(first)) || ledger.settledBy(first) !== null);
      if (complete) continue;
      ledger.voidGroup(group);
      for (const held of members) this.finish(held, VOIDED, ANY_VERSION);
    }
    this.makeRoom();
  }

  /** true = the same attempt is held or settled already. */
  private repeats(delivery: RolloutDelivery, place: Place): boolean {
    const { attempt } = delivery.rollout;
    const held = this.all.get(keyOf(place));
    if (held?.rollout.attempt === attempt) {
      held.delivery = delivery;
      if (held.taken) delivery.take();
      return true;
    }
    if (this.options.ledger.settledBy(place) !== attempt) return false;
    delivery.ack();
    return true;
  }

  /** What becomes of work that nobody needs any more; null = it is needed. */
  private unwanted({ group, attempt }: Rollout, place: Place): Said | null {
    const { ledger, groupSize } = this.options;
    if (groupSize !== null && ledger.isVoid(group)) {
      ledger.settle(place, attempt);
      return VOIDED;
    }
    return this.all.has(keyOf(place)) || ledger.settledBy(place) !== null ? DUPLICATE : null;
  }

  private hold(delivery: RolloutDelivery, place: Place, version: number): void {
    const { rollout } = delivery;
    const held: Held = {
      ...{
        place,
        rollout,
        delivery,
        taken: false,
        arrivalVersion: version,
        oldestVersion: oldestVersion(rollout),
      },
      ...summaryOf(rollout),
    };
    this.all.set(keyOf(place), held);
    this.untaken.push(held);
    this.countHeld(1, held.steps);
    this.options.books.hold(held);
    this.options.progress();
    const whole = this.ready.add(held);
    if (whole !== null && whole.oldestVersion < this.oldestWanted) this.dropStale();
    else if (whole !== null) this.dropUnwanted(whole);
    this.makeRoom();
    this.waiting?.();
  }

  /** The lag of what is whole only grows: what is above the limit now will never be trained on. */
  private dropStale(): void {
    for (const held of this.ready.takeOlderThan(this.oldestWanted)) {
      this.options.metrics.staleRows.inc(held.rows);
      this.finish(held, STALE, ANY_VERSION);
    }
  }

  /** A group that the recipe lets into no batch. */
  private dropUnwanted(unit: Unit): void {
    if (this.filter === null || this.filter.admits(unit)) return;
    this.ready.drop(unit);
    const said = { verdict: "filtered", reason: this.filter.reason, version: -1 } as const;
    for (const held of unit.held) {
      this.filteredReturns.push(held.rollout.columns.rowCounters["episodeReturn"] ?? new Float32Array(0));
      this.finish(held, said, ANY_VERSION);
    }
  }

  /** Nothing more is to be done with it: its work is settled. */
  private finish(held: Held, said: Said, safeFrom: number): void {
    const { place, delivery, rollout, steps } = held;
    this.all.delete(keyOf(place));
    if (held.taken) this.takenSteps -= steps;
    else this.untaken = this.untaken.filter((other) => other !== held);
    this.countHeld(-1, steps);
    this.options.ledger.settle(place, rollout.attempt);
    this.options.books.settle(delivery, held, said, { safeFrom });
  }

  private countHeld(sign: 1 | -1, steps: number): void {
    this.heldCount = plus(this.heldCount, sign * steps, sign);
    this.options.metrics.heldRollouts.set(this.heldCount.rollouts);
    this.options.metrics.heldSteps.set(this.heldCount.steps);
  }

  /** A learner that waits takes whatever comes: it could be the one thing that is missing. */
  private makeRoom(): void {
    while (this.waiting !== null || this.takenSteps < this.capacitySteps) {
      const next = this.untaken.shift();
      if (next === undefined) return;
      next.taken = true;
      this.takenSteps += next.steps;
      next.delivery.take();
    }
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting = null;
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.waiting = wake;
      signal.addEventListener("abort", wake);
    });
  }
}
