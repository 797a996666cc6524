/**
 * Where one seat gets its work and hands in what it made of it. Always: the seat is at exactly one stage of the clock,
 * and whatever it waits for is known to the watchdog; every request granted is answered by a rollout, given back with
 * a reason, or ends with the lease.
 */
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { SeatStage } from "../../core/telemetry/tables/actor.js";
import { StageClock } from "../../core/telemetry/stage-clock.js";
import type { Session } from "../../core/transport/session.js";
import type { Control, FailedRequest } from "../../core/transport/transport.js";
import { rolloutIdOf, stepCount, type RolloutRequest, type WeightsSnapshot } from "../../core/types.js";
import { unlessAborted } from "../../core/waiting.js";
import type { Watchdog } from "../../core/watchdog.js";
import type { LearnerLine } from "./learner-line.js";
import type { Collected, Unplayed } from "./messages.js";

export interface DeskOptions {
  readonly runId: string;
  readonly actorId: string;
  /** The coordinator's address, for messages. */
  readonly coordinator: string;
  readonly control: Control;
  readonly session: Pick<Session, "leaseId" | "renew">;
  readonly learner: LearnerLine;
  /** Of at least the version asked for, or of that very one. */
  readonly weightsFor: (request: RolloutRequest) => Promise<WeightsSnapshot>;
  readonly watchdog: Watchdog;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

export class Desk {
  readonly clock: StageClock<SeatStage>;
  private lastRequestId = 0;
  /** To be given back with the next call. */
  private failed: readonly FailedRequest[] = [];
  private taken: Promise<unknown> = Promise.resolve();

  /** Nothing is waited for any more once `stop` aborts. */
  constructor(
    readonly seat: number,
    private readonly options: DeskOptions,
    readonly stop: AbortSignal,
  ) {
    this.clock = new StageClock(options.metrics.seatSeconds, options.now, "work");
  }

  /**
   * Work for this seat, at least one piece and at most as many as `capacity` says whenever the coordinator is asked;
   * null = there will be none any more.
   */
  async ask(capacity: () => number): Promise<readonly RolloutRequest[] | null> {
    const { control, coordinator, session, learner, log } = this.options;
    while (!this.stop.aborted) {
      const { leaseId } = session;
      const { seat, lastRequestId, failed } = this;
      const asked = control.acquire({ leaseId, seat, capacity: capacity(), lastRequestId, failed });
      const reply = await this.wait(`work from the coordinator at ${coordinator}`, asked);
      if (reply === null) return null;
      if (!reply.known) {
        log.warn({ seat }, "the coordinator does not know this lease; registering again");
        await this.wait(`the coordinator at ${coordinator} to give it a lease`, session.renew(leaseId));
        continue;
      }
      this.failed = this.failed.slice(failed.length);
      if (reply.phase === "finished") return null;
      learner.moveTo(reply.learnerAddress);
      if (reply.requests.length === 0) continue;
      const requestIds = reply.requests.map(({ requestId }) => requestId);
      this.lastRequestId = Math.max(lastRequestId, ...requestIds);
      log.debug({ seat, requestIds }, "work granted");
      return reply.requests;
    }
    return null;
  }

  /** Null where the actor stops before they come. */
  weightsFor(request: RolloutRequest): Promise<WeightsSnapshot | null> {
    return this.wait(`weights of version ${request.policyVersion}`, this.options.weightsFor(request));
  }

  /** Until the learner has taken what this seat delivered last. */
  async allTaken(): Promise<void> {
    this.clock.enter("take");
    await this.wait(`the learner at ${this.options.learner.address} to take a rollout`, this.taken);
  }

  get hasRoom(): boolean {
    return this.options.learner.hasRoom;
  }

  /** Until the rollouts that are not settled leave room for another. */
  async room(): Promise<void> {
    if (this.hasRoom) return;
    this.clock.enter("settle");
    const { learner } = this.options;
    const on = `the learner at ${learner.address} to settle rollouts (actors.unsettledBytes is used up)`;
    await this.wait(on, learner.room());
  }

  /** Sends it; does not wait for it to be taken. */
  deliver({ request, columns, inferenceSeconds, environmentSeconds }: Collected): void {
    const { runId, actorId, metrics, learner, watchdog } = this.options;
    const { requestId, task, group, member, attempt, seat } = request;
    const rollout = {
      ...{ runId, rolloutId: rolloutIdOf(runId, request), requestId, task, group, member, attempt },
      ...{ actorId, seat, collectSeconds: inferenceSeconds + environmentSeconds, columns },
    };
    this.taken = Promise.all([this.taken, learner.send(rollout)]);
    this.taken.catch(() => undefined);
    watchdog.progress();
    metrics.rollouts.inc();
    metrics.envSteps.inc(stepCount(columns));
    const lengths = columns.rowCounters["episodeLength"] ?? new Float32Array(0);
    metrics.episodes.inc(lengths.filter((length) => !Number.isNaN(length)).length);
    metrics.inferenceSeconds.observe(inferenceSeconds);
    metrics.environmentSeconds.observe(environmentSeconds);
  }

  /** Gives it back to the coordinator, with the next call for work. */
  handBack({ request, reason, message }: Unplayed): void {
    const { requestId, task, group, member } = request;
    this.options.log.error({ task, group, member, reason, message }, "work given back");
    this.options.metrics.returnedRequests.inc(reason);
    this.failed = [...this.failed, { requestId, reason }];
  }

  private async wait<T>(on: string, promise: Promise<T>): Promise<T | null> {
    const end = this.options.watchdog.waiting(`seat ${this.seat}`, on);
    try {
      return await unlessAborted(promise, this.stop);
    } finally {
      end();
    }
  }
}
