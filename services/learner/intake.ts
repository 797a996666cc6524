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
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { Count, Outcome, RolloutDelivery, Verdict } from "../../core/transport/transport.js";
import { rowCount, stepCount, type Rollout, type RolloutColumns } from "../../core/types.js";
import { placeOf, type Ledger, type Place } from "./ledger.js";
import { ReadyQueue, type Held } from "./ready-queue.js";
import { oldestVersion, type Complaint, type RolloutCheck } from "./rollout-check.js";
import { ANY_VERSION, type Settlements } from "./settlements.js";

export interface IntakeOptions {
  readonly batchSteps: number;
  readonly maxPolicyLag: RunConfig["staleness"]["maxPolicyLag"];
  /** Not null: a batch is the next fragment of each of these seats, in seat order. */
  readonly seats: number | null;
  /** Members of a group; null = fragments. */
  readonly groupSize: number | null;
  readonly ack: RunConfig["learner"]["ack"];
  readonly check: RolloutCheck;
  readonly ledger: Ledger;
  readonly settlements: Settlements;
  readonly metrics: LearnerMetrics;
}

/** Over the rollouts of a batch, versions. */
export interface Lag {
  readonly mean: number;
  readonly max: number;
}

export interface Batchful {
  readonly rollouts: readonly Rollout[];
  readonly steps: number;
  /** Version at training − oldest version in the rollout: the sum of the two below, rollout by rollout. */
  readonly policyLag: Lag;
  /** Version at arrival − oldest version. */
  readonly inFlightLag: Lag;
  /** Version at training − version at arrival. */
  readonly inQueueLag: Lag;
}

function lagOf(lags: readonly number[]): Lag {
  return { mean: lags.reduce((a, b) => a + b, 0) / lags.length, max: lags.reduce((a, b) => Math.max(a, b)) };
}

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

function episodesOf({ rowCounters }: RolloutColumns): Pick<Outcome, "episodeReturn" | "episodeLength"> {
  return {
    episodeReturn: meanOf(rowCounters["episodeReturn"]),
    episodeLength: meanOf(rowCounters["episodeLength"]),
  };
}

const NO_EPISODES = { episodeReturn: Number.NaN, episodeLength: Number.NaN };

/** A rollout, as far as it concerns the books. */
type Told = Pick<Outcome, "steps" | "episodeReturn" | "episodeLength">;

const keyOf = ({ stream, number }: Place): string => `${stream}:${number}`;

export class Intake {
  /** Steps that are taken at most, rollouts whole, while a batch is there to be trained on. */
  readonly capacitySteps: number;
  private readonly ready: ReadyQueue;
  /** Arrived before `begin`. */
  private early: RolloutDelivery[] = [];
  private readonly held = new Map<string, Held>();
  private inTraining: Held[] = [];
  /** Held, and their senders have no room yet; in the order of arrival. */
  private untaken: Held[] = [];
  private takenSteps = 0;
  private waiting: (() => void) | null = null;
  private version: number | null = null;
  private receivedCount: Count;
  private heldCount: Count = { rollouts: 0, steps: 0 };

  constructor(private readonly options: IntakeOptions) {
    this.ready = new ReadyQueue(options);
    this.receivedCount = options.ledger.total;
    this.capacitySteps = (options.maxPolicyLag + 2) * options.batchSteps;
  }

  get receivedSoFar(): Count {
    return this.receivedCount;
  }

  get heldNow(): Count {
    return this.heldCount;
  }

  /** The learner goes on as `version`. */
  begin(version: number): void {
    this.version = version;
    for (const delivery of this.early.splice(0)) this.deliver(delivery);
  }

  deliver(delivery: RolloutDelivery): void {
    const { version } = this;
    if (version === null) {
      this.early.push(delivery);
      return;
    }
    const { check, settlements, ledger, metrics, groupSize } = this.options;
    const { rollout } = delivery;
    metrics.rolloutBytes.inc(delivery.bytes);
    const mistaken = check.identity(rollout);
    if (mistaken?.reason === "run") {
      // Its request is not one of this run's: there is nothing to tell the coordinator.
      metrics.refusedRollouts.inc();
      delivery.reject(mistaken.text);
      return;
    }
    if (settlements.repeats(delivery)) return metrics.repeatedRollouts.inc();
    if (mistaken !== null) return this.refuse(delivery, mistaken);
    const place = placeOf(rollout, groupSize);
    const held = this.held.get(keyOf(place));
    const settledBy = ledger.settledBy(place);
    if (held?.rollout.attempt === rollout.attempt) {
      held.delivery = delivery;
      if (held.taken) delivery.take();
      return metrics.repeatedRollouts.inc();
    }
    if (settledBy === rollout.attempt) {
      delivery.ack();
      return metrics.repeatedRollouts.inc();
    }
    if (groupSize !== null && ledger.isVoid(rollout.group))
      return this.turnAway(delivery, "filtered", "voidedGroup");
    if (held !== undefined || settledBy !== null) return this.turnAway(delivery, "failed", "duplicate");
    const complaint = check.content(rollout, version);
    if (complaint !== null) return this.refuse(delivery, complaint);
    this.hold(delivery, place, version);
  }

  /** The next batch for the version at hand, or null when `signal` aborts first. */
  async next(signal: AbortSignal): Promise<Batchful | null> {
    while (!signal.aborted) {
      const taken = this.ready.takeBatch();
      if (taken !== null) return this.batchful(taken);
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
    const { ledger, ack } = this.options;
    this.version = version;
    const safeFrom = ack === "onCheckpoint" ? version : ANY_VERSION;
    for (const held of this.inTraining.splice(0)) {
      ledger.settle(held.place, held.rollout.attempt);
      this.release(held);
      this.settle(held.delivery, held, { verdict: "trained", reason: "", version }, null, safeFrom);
    }
    this.dropStale();
    this.makeRoom();
  }

  /** The coordinator has given these groups up. One that is complete here is trained all the same. */
  voidGroups(groups: readonly number[]): void {
    const { ledger, groupSize } = this.options;
    if (groupSize === null) return;
    for (const group of groups) {
      const members = this.ready.giveUp(group);
      const wholes = Array.from({ length: groupSize }, (_, member) => group * groupSize + member);
      const elsewhere = wholes.some(
        (number) =>
          ledger.settledBy({ stream: "groups", number }) !== null ||
          (members.length === 0 && this.held.has(keyOf({ stream: "groups", number }))),
      );
      if (elsewhere) continue;
      ledger.voidGroup(group);
      for (const held of members) this.drop(held, "filtered", "voidedGroup");
    }
    this.makeRoom();
  }

  private hold(delivery: RolloutDelivery, place: Place, version: number): void {
    const { rollout } = delivery;
    const { columns } = rollout;
    const held: Held = {
      ...{ place, rollout, delivery, taken: false, arrivalVersion: version, ...episodesOf(columns) },
      ...{ steps: stepCount(columns), rows: rowCount(columns), oldestVersion: oldestVersion(rollout) },
    };
    this.count("received", 1, held.steps);
    this.count("held", 1, held.steps);
    this.held.set(keyOf(place), held);
    this.untaken.push(held);
    this.options.settlements.hold(this.outcome(held, held, { verdict: "held", reason: "", version: -1 }));
    this.ready.add(held);
    this.dropStale();
    this.makeRoom();
    this.waiting?.();
  }
}
