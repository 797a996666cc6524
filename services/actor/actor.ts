/**
 * The actor: asks for work for each of its seats, collects it, sends it.
 *
 * Always: a seat asks for its next fragment as soon as the last one is collected, and never has more than one
 * unsent; an actor that is asked to leave delivers what it has collected, unless the learner does not take it within
 * DRAIN_SECONDS. A fragment not delivered is issued again by the coordinator.
 */
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { Session } from "../../core/transport/session.js";
import type { Control } from "../../core/transport/transport.js";
import type { Rollout, RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import { stepCount } from "../../core/types.js";
import { settledWithin, unlessAborted } from "../../core/waiting.js";
import type { LearnerLine } from "./learner-line.js";
import type { Fragment, Seat } from "./seat.js";
import type { WeightsStore } from "./weights-store.js";

/** Longest that an actor which was asked to leave waits for its last fragments to be taken. */
const DRAIN_SECONDS = 5;

export interface ActorOptions {
  readonly runId: string;
  readonly actorId: string;
  /** Every request names the very version it wants; weights are not swapped in between. */
  readonly deterministic: boolean;
  readonly control: Control;
  readonly session: Session;
  readonly weights: WeightsStore;
  readonly seats: readonly Seat[];
  readonly learner: LearnerLine;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

export class Actor {
  private watch = new AbortController();

  constructor(private readonly options: ActorOptions) {}

  /** Works until the run is finished or `stop` aborts; rejects where a seat fails. */
  async run(stop: AbortSignal): Promise<void> {
    const { seats, session } = this.options;
    const over = new AbortController();
    const idle = AbortSignal.any([stop, over.signal]);
    void session.finished.then(() => over.abort());
    session.onRenewed = () => this.startOver();
    session.onLearnerAddress = (address) => this.options.learner.moveTo(address);
    const following = this.follow(over.signal);
    const work = Promise.all(seats.map((seat) => this.serve(seat, idle)));
    try {
      await Promise.race([work, session.failed, following.then(() => work)]);
    } finally {
      over.abort();
    }
  }

  /**
   * A lease that had to be renewed may mean a learner that went back to a checkpoint: its versions begin again below
   * the ones held here, and a watch never goes back.
   */
  private startOver(): Promise<void> {
    this.options.weights.clear();
    this.watch.abort();
    return Promise.resolve();
  }

  /** Hands every newer version to the seats. */
  private async follow(signal: AbortSignal): Promise<void> {
    const { control, weights, seats, metrics, log, deterministic } = this.options;
    while (!signal.aborted) {
      this.watch = new AbortController();
      for await (const snapshot of control.watchWeights(-1, AbortSignal.any([signal, this.watch.signal]))) {
        weights.put(snapshot);
        metrics.policyVersion.set(snapshot.version);
        log.debug({ version: snapshot.version }, "weights received");
        if (!deterministic) for (const seat of seats) seat.give(snapshot);
      }
    }
  }

  private async serve(seat: Seat, signal: AbortSignal): Promise<void> {
    const { control, session, learner, log } = this.options;
    let completedRequestId = 0;
    let sending: Promise<number> = Promise.resolve(0);
    while (!signal.aborted) {
      const { leaseId } = session;
      const asked = control.acquire({ leaseId, seat: seat.seat, completedRequestId });
      const reply = await unlessAborted(asked, signal);
      if (reply === null) break;
      if (!reply.known) {
        log.warn({ seat: seat.seat }, "the coordinator does not know this lease; registering again");
        await session.renew(leaseId);
        continue;
      }
      completedRequestId = 0;
      if (reply.phase === "finished") break;
      if (reply.request === null) continue;
      const { request } = reply;
      learner.moveTo(reply.learnerAddress);
      const held = await unlessAborted(this.weightsFor(request), signal);
      if (held === null) break;
      const fragment = await seat.collect(request, request.exact ? held : null);
      completedRequestId = (await unlessAborted(sending, signal)) ?? 0;
      sending = Promise.all([sending, this.deliver(fragment)]).then(([, id]) => id);
      sending.catch(() => undefined);
    }
    // A finished run needs no more rollouts; an actor asked to leave gives the learner a while to take its last.
    await settledWithin(Promise.race([sending, session.finished]), DRAIN_SECONDS);
  }

  private async weightsFor({ policyVersion, exact }: RolloutRequest): Promise<WeightsSnapshot> {
    const { weights, control } = this.options;
    const newest = await weights.atLeast(policyVersion);
    if (!exact || newest.version === policyVersion) return newest;
    return weights.get(policyVersion) ?? (await control.fetchWeights(policyVersion));
  }

  /** The request's id once the learner has the fragment; 0 where it never will. */
  private async deliver(fragment: Fragment): Promise<number> {
    const { metrics, now, learner, log } = this.options;
    const rollout = this.rolloutOf(fragment);
    const from = now();
    if (!(await learner.send(rollout))) {
      log.warn({ rollout: rollout.rolloutId }, "given up: the learner has moved");
      return 0;
    }
    log.debug({ rollout: rollout.rolloutId, seconds: now() - from }, "delivered");
    metrics.sendWaitSeconds.observe(now() - from);
    metrics.fragments.inc();
    metrics.envSteps.inc(stepCount(rollout.columns));
    metrics.episodes.inc(
      rollout.columns.stopReasons.reduce((sum, reason) => sum + (reason === 0 ? 0 : 1), 0),
    );
    metrics.inferenceSeconds.observe(fragment.times.inferenceSeconds);
    metrics.environmentSeconds.observe(fragment.times.environmentSeconds);
    metrics.weightSwaps.inc(fragment.times.swaps);
    return fragment.request.requestId;
  }

  private rolloutOf({ request, columns, times }: Fragment): Rollout {
    const { runId, actorId } = this.options;
    return {
      runId,
      rolloutId: `${runId}/${request.seat}/${request.sequence}`,
      actorId,
      seat: request.seat,
      sequence: request.sequence,
      collectSeconds: times.inferenceSeconds + times.environmentSeconds,
      columns,
    };
  }
}
