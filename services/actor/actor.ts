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
import { rolloutIdOf, stepCount } from "../../core/types.js";
import { settledWithin, unlessAborted } from "../../core/waiting.js";
import type { WeightsFollower } from "../../core/weights/follower.js";
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
  readonly follower: WeightsFollower;
  readonly weights: WeightsStore;
  readonly seats: readonly Seat[];
  readonly learner: LearnerLine;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

export class Actor {
  constructor(private readonly options: ActorOptions) {}

  /** Works until the run is finished or `stop` aborts; rejects where a seat fails. */
  async run(stop: AbortSignal): Promise<void> {
    const { seats, session } = this.options;
    const over = new AbortController();
    const idle = AbortSignal.any([stop, over.signal]);
    void session.finished.then(() => over.abort());
    session.onLearnerAddress = (address) => this.options.learner.moveTo(address);
    const following = this.follow(over.signal);
    const work = Promise.all(seats.map((seat) => this.serve(seat, idle)));
    try {
      await Promise.race([work, session.failed, following.then(() => work)]);
    } finally {
      over.abort();
    }
  }

  /** Hands every newer version to the seats. */
  private async follow(signal: AbortSignal): Promise<void> {
    const { follower, weights, seats, metrics, log, deterministic } = this.options;
    for await (const verified of follower.follow(signal)) {
      const { snapshot } = verified;
      weights.put(verified);
      metrics.policyVersion.set(snapshot.version);
      log.debug({ version: snapshot.version }, "weights received");
      if (!deterministic) for (const seat of seats) seat.give(snapshot);
    }
  }

  private async serve(seat: Seat, signal: AbortSignal): Promise<void> {
    const { control, session, learner, log } = this.options;
    let lastRequestId = 0;
    let sending: Promise<void> = Promise.resolve();
    while (!signal.aborted) {
      const { leaseId } = session;
      const asked = control.acquire({ leaseId, seat: seat.seat, capacity: 1, lastRequestId, failed: [] });
      const reply = await unlessAborted(asked, signal);
      if (reply === null) break;
      if (!reply.known) {
        log.warn({ seat: seat.seat }, "the coordinator does not know this lease; registering again");
        await session.renew(leaseId);
        continue;
      }
      if (reply.phase === "finished") break;
      const [request] = reply.requests;
      if (request === undefined) continue;
      lastRequestId = request.requestId;
      learner.moveTo(reply.learnerAddress);
      const held = await unlessAborted(this.weightsFor(request), signal);
      if (held === null) break;
      const fragment = await seat.collect(request, request.exact ? held : null);
      await unlessAborted(sending, signal);
      sending = Promise.all([sending, this.deliver(fragment)]).then(() => undefined);
      sending.catch(() => undefined);
    }
    // A finished run needs no more rollouts; an actor asked to leave gives the learner a while to take its last.
    await settledWithin(Promise.race([sending, session.finished]), DRAIN_SECONDS);
  }

  private async weightsFor({ policyVersion, exact }: RolloutRequest): Promise<WeightsSnapshot> {
    const { weights, follower } = this.options;
    const newest = await weights.atLeast(policyVersion);
    if (!exact || newest.version === policyVersion) return newest;
    return weights.get(policyVersion) ?? (await follower.fetchExactly(policyVersion));
  }

  private async deliver(fragment: Fragment): Promise<void> {
    const { metrics, now, learner, log } = this.options;
    const rollout = this.rolloutOf(fragment);
    const from = now();
    if (!(await learner.send(rollout))) {
      log.warn({ rollout: rollout.rolloutId }, "given up: the learner has moved");
      return;
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
  }

  private rolloutOf({ request, columns, times }: Fragment): Rollout {
    const { runId, actorId } = this.options;
    const { requestId, task, group, member, attempt, seat } = request;
    return {
      ...{ runId, rolloutId: rolloutIdOf(runId, request), requestId, task, group, member, attempt },
      ...{ actorId, seat },
      collectSeconds: times.inferenceSeconds + times.environmentSeconds,
      columns,
    };
  }
}
