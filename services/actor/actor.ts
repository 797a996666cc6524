/**
 * The actor: asks for work for each of its seats, collects it, sends it.
 *
 * Always: an actor that is asked to leave starts nothing new, and has DRAIN_SECONDS to finish what it collects and to
 * have it settled. What is not is issued again by the coordinator once the lease is given back.
 */
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { Session } from "../../core/transport/session.js";
import type { Control, RunningRequest } from "../../core/transport/transport.js";
import type { RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import { unlessAborted } from "../../core/waiting.js";
import type { Watchdog } from "../../core/watchdog.js";
import type { WeightsFollower } from "../../core/weights/follower.js";
import { Desk } from "./desk.js";
import type { LearnerLine } from "./learner-line.js";
import type { Seat } from "./seat.js";
import { FragmentWork, MemberWork, type Player, type SeatWork } from "./seat-work.js";
import type { WeightsStore } from "./weights-store.js";

/** Longest that an actor which was asked to leave stays for what it has begun. */
const DRAIN_SECONDS = 5;

export interface ActorOptions {
  readonly runId: string;
  readonly actorId: string;
  /** The coordinator's address, for messages. */
  readonly coordinator: string;
  /** Every request names the very version it wants; weights are not swapped in between. */
  readonly deterministic: boolean;
  /** Seats play members of groups; else they collect fragments. */
  readonly groups: boolean;
  readonly control: Control;
  readonly session: Session;
  readonly follower: Pick<WeightsFollower, "follow" | "fetchExactly">;
  readonly weights: WeightsStore;
  readonly seats: readonly (Player & Pick<Seat, "give">)[];
  readonly learner: LearnerLine;
  readonly watchdog: Watchdog;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

export class Actor {
  private desks: readonly Desk[] = [];
  private work: readonly SeatWork[] = [];
  /** With the last heartbeat. */
  private told = "";

  constructor(private readonly options: ActorOptions) {}

  /**
   * What the seats are collecting; to be called at each heartbeat. Steps are progress too: one episode may take longer
   * than the watchdog's patience.
   */
  beat(): readonly RunningRequest[] {
    for (const desk of this.desks) desk.clock.count();
    const running = this.work.flatMap((work) => work.running);
    const told = running.map(({ requestId, steps }) => `${requestId}:${steps}`).join();
    if (told !== this.told) this.options.watchdog.progress();
    this.told = told;
    return running;
  }

  /** Works until the run is finished or `stop` aborts; rejects where a seat fails. */
  async run(stop: AbortSignal): Promise<void> {
    const { session, learner, watchdog } = this.options;
    const over = new AbortController();
    const late = new AbortController();
    let drain: NodeJS.Timeout | undefined;
    const leave = (): void => {
      drain ??= setTimeout(() => late.abort(), 1000 * DRAIN_SECONDS);
    };
    if (stop.aborted) leave();
    stop.addEventListener("abort", leave, { once: true });
    const finish = (): void => [over, late].forEach((controller) => controller.abort());
    // A finished run needs no more rollouts.
    void session.finished.then(finish);
    session.onLearnerAddress = (address) => learner.moveTo(address);
    const following = this.follow(over.signal);
    const working = this.serve(AbortSignal.any([stop, over.signal]), late.signal);
    const failures = [session.failed, learner.failed, watchdog.failed];
    try {
      await Promise.race([working, ...failures, following.then(() => working)]);
      await Promise.race([unlessAborted(learner.flushed(), late.signal), ...failures]);
    } finally {
      stop.removeEventListener("abort", leave);
      clearTimeout(drain);
      finish();
    }
  }

  private async serve(stop: AbortSignal, late: AbortSignal): Promise<void> {
    const { seats, groups, metrics, now } = this.options;
    const weightsFor = (request: RolloutRequest) => this.weightsFor(request);
    this.desks = seats.map(({ seat }) => new Desk(seat, { ...this.options, weightsFor }, stop));
    const onSwaps = (swaps: number): void => metrics.weightSwaps.inc(swaps);
    this.work = this.desks.map((desk, k) =>
      groups ? new MemberWork(seats[k]!, desk, onSwaps, now) : new FragmentWork(seats[k]!, desk, onSwaps),
    );
    await Promise.all(this.work.map((work) => work.run(late)));
  }

  /** Hands every newer version to the seats. */
  private async follow(signal: AbortSignal): Promise<void> {
    const { follower, weights, seats, metrics, log, deterministic, watchdog } = this.options;
    for await (const verified of follower.follow(signal)) {
      const { snapshot } = verified;
      weights.put(verified);
      metrics.policyVersion.set(snapshot.version);
      watchdog.progress();
      log.debug({ version: snapshot.version }, "weights received");
      if (!deterministic) for (const seat of seats) seat.give(snapshot);
    }
  }

  private async weightsFor({ policyVersion, exact }: RolloutRequest): Promise<WeightsSnapshot> {
    const { weights, follower } = this.options;
    const newest = await weights.atLeast(policyVersion);
    if (!exact || newest.version === policyVersion) return newest;
    return weights.get(policyVersion) ?? (await follower.fetchExactly(policyVersion));
  }
}
