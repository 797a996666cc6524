/**
 * The coordinator: the run's system of record. Says who is alive, hands out work, keeps the books and the newest
 * weights.
 *
 * Always: what a restart needs is written down before the reply that rests on it leaves. No call costs more the more
 * actors there are, but `status`.
 */
import type { RunConfig } from "../../core/config/schema.js";
import type { NoticeEvent } from "../../core/progress.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { CoordinatorMetrics } from "../../core/telemetry/metrics.js";
import type {
  AcquireReply,
  AcquireRequest,
  Control,
  HeartbeatReply,
  HeartbeatRequest,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  RunStatus,
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../../core/transport/transport.js";
import type { RolloutRequest } from "../../core/types.js";
import { modeOf } from "../../core/weights/manifest.js";
import { BookReader } from "./books.js";
import { Commits } from "./commits.js";
import { Dispatch, type Method } from "./dispatch.js";
import { Gauges } from "./gauges.js";
import { groupEvents } from "./group-events.js";
import type { Lease } from "./leases.js";
import { Pause } from "./pause.js";
import type { RunRecord } from "./run-state.js";
import { SeatQueue } from "./seat-queue.js";
import type { Store } from "./store.js";
import { WeightsLog } from "./weights-log.js";
import { WeightsRegistry } from "./weights-registry.js";

/** How long `acquire` waits for work before it answers with none: at most half of what its caller waits. */
const ACQUIRE_WAIT_MS = 2000;

/** Between two looks at the whole of the books and of the fleet. */
const AUDIT_MS = 5000;

export interface CoordinatorOptions {
  readonly config: RunConfig;
  readonly store: Store;
  readonly metrics: CoordinatorMetrics;
  readonly notice: (event: NoticeEvent) => void;
  readonly log: Logger;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  readonly method?: Method;
}

export class Coordinator implements Control {
  readonly runId: string;
  /** Rejects when the books could not be written for too long; never resolves. */
  readonly failed: Promise<never>;
  private readonly dispatch: Dispatch;
  private readonly commits: Commits;
  private readonly pauses: Pause;
  private readonly weights: WeightsRegistry;
  private readonly weightsLog: WeightsLog;
  private readonly books: BookReader;
  private readonly gauges: Gauges;
  private readonly queue = new SeatQueue<AcquireReply>();
  private learnerLease = "";
  private auditAt = 0;

  /** Throws BOOKS_MISMATCH where the store is of another run. */
  constructor(private readonly options: CoordinatorOptions) {
    const { config, store, now, notice, metrics, method = {} } = options;
    this.gauges = new Gauges(metrics);
    this.dispatch = new Dispatch({
      config,
      store,
      now,
      method,
      events: groupEvents(metrics, (text) => this.warn(text)),
    });
    this.runId = this.run.runId;
    const patienceSeconds = config.transport.reconnectSeconds;
    this.commits = new Commits(store, { patienceSeconds, now, notice });
    this.failed = this.commits.failed;
    this.pauses = new Pause(store, this.dispatch.run, now, notice);
    this.weightsLog = new WeightsLog(store);
    const keep = config.staleness.maxPolicyLag + 3;
    const restored = this.weightsLog.newest(1)[0] ?? null;
    this.weights = new WeightsRegistry({ keep, weights: config.weights, restored, now });
    this.books = new BookReader(store);
    this.measure();
    this.audit();
  }

  private get run(): RunRecord {
    return this.dispatch.run.now;
  }

  async register(request: RegisterRequest): Promise<RegisterReply> {
    const { config, log } = this.options;
    const { lease, tookOver } = await this.commits.make(() => {
      // A version that was shown counts, though the disk may not have taken it yet.
      if (request.role === "learner") this.publishedUpTo(this.weights.version);
      return this.dispatch.register(request);
    });
    log.info({ name: lease.name, index: lease.index, tookOver }, "registered");
    if (request.role === "learner") this.learnerLease = lease.id;
    this.changed();
    return {
      leaseId: lease.id,
      leaseSeconds: config.coordinator.leaseSeconds,
      heartbeatSeconds: config.coordinator.heartbeatSeconds,
      runId: this.runId,
      index: Math.max(0, lease.index),
      policyVersion: request.role === "learner" ? this.run.policyVersion : 0,
    };
  }

  async heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply> {
    const lease = this.dispatch.leases.renew(request.leaseId);
    if (lease !== null) {
      lease.appliedVersion = request.appliedVersion;
      lease.appliedHash = request.appliedHash;
      lease.running = request.running;
    }
    const { phase, learnerAddress } = this.run;
    return Promise.resolve({ known: lease !== null, phase, learnerAddress });
  }

  async acquire(request: AcquireRequest): Promise<AcquireReply> {
    const { leaseId, failed } = request;
    const lease = this.dispatch.leases.renew(leaseId);
    if (lease !== null && failed.length > 0) {
      await this.commits.make(() => this.dispatch.giveBack(lease, failed));
      this.changed();
    }
    const reply = await this.commits.make(() => this.offer(request));
    if (reply !== null) return reply;
    const { deadlineSeconds } = this.options.config.transport;
    const wait = Math.min(ACQUIRE_WAIT_MS, 500 * deadlineSeconds);
    const late = await this.queue.wait(
      () => this.commits.attempt(() => this.offer(request))?.value ?? null,
      wait,
    );
    return late ?? this.answer(this.dispatch.leases.renew(leaseId) !== null, []);
  }

  async report(request: ReportRequest): Promise<ReportReply> {
    const { leases, work } = this.dispatch;
    const { leaseId } = request;
    // Asked at each attempt: while this one waits for the disk, another learner may come.
    const isLearner = (): boolean => leases.renew(leaseId) !== null && leaseId === this.learnerLease;
    const reported = await this.commits.make(() => (isLearner() ? this.dispatch.report(request) : null));
    const known = reported !== null;
    if (known) {
      for (const { name } of reported.quarantined)
        this.warn(`${name} is shut out: the learner refused its rollouts`);
      this.changed();
    }
    return { known, actors: leases.actorCount, voidedGroups: known ? work.voidedGroups() : [] };
  }

  async leave({ leaseId }: { readonly leaseId: string }): Promise<void> {
    const left = await this.commits.make(() => {
      const lease = this.dispatch.leases.remove(leaseId);
      if (lease !== null) this.dispatch.release(lease);
      return lease;
    });
    if (left !== null) this.options.log.info({ name: left.name }, "left");
    this.changed();
  }

  async status(): Promise<RunStatus> {
    const { phase, policyVersion, updates, envSteps, meanReturn100 } = this.run;
    return Promise.resolve({
      runId: this.runId,
      runConfig: JSON.stringify(this.options.config),
      phase,
      pausedSeconds: this.pauses.secondsLeft,
      books: this.books.read(this.run),
      policyVersion,
      updates,
      envSteps,
      meanReturn100: meanReturn100 ?? Number.NaN,
      actors: this.dispatch.leases.actors(),
    });
  }

  async pause({ seconds, reason }: { readonly seconds: number; readonly reason: string }): Promise<void> {
    await this.commits.make(() => this.pauses.begin(seconds, reason));
  }

  async resume(): Promise<void> {
    await this.commits.make(() => this.pauses.end());
    this.changed();
  }

  async publishWeights(delivery: WeightsDelivery, incarnation: string): Promise<void> {
    const { metrics, log } = this.options;
    const { manifest, payload } = delivery;
    const { version } = manifest;
    this.dispatch.takeover.expectPresent(`publish version ${version}`, incarnation);
    metrics.weightsReceivedBytes.inc(modeOf(manifest), payload.byteLength);
    this.weights.publish(delivery);
    await this.commits.make(() => {
      this.publishedUpTo(version);
      this.weightsLog.record(delivery);
    });
    log.debug({ version }, "weights published");
    metrics.publishedWeights.inc();
    metrics.policyVersion.set(version);
  }

  async fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    const delivery = this.weights.fetch(request);
    this.options.metrics.weightsSentBytes.inc(modeOf(delivery.manifest), delivery.payload.byteLength);
    return Promise.resolve(delivery);
  }

  watchWeights(request: WatchRequest, signal: AbortSignal): AsyncIterable<WeightsAnnouncement> {
    return this.weights.watch(request, signal);
  }

  /** For /healthz. */
  summary(): Readonly<Record<string, unknown>> {
    const { phase, policyVersion, envSteps } = this.run;
    return { runId: this.runId, phase, policyVersion, envSteps, actors: this.dispatch.leases.actorCount };
  }

  /** Nothing has to go on: there is no learner yet, the run is paused, or it is over. */
  get resting(): boolean {
    return this.run.phase !== "running" || this.pauses.paused;
  }

  /** Changes with every step that the run comes further. */
  get progress(): string {
    const { submitted, policyVersion, publishedVersion, envSteps } = this.run;
    return [submitted, policyVersion, publishedVersion, envSteps].join();
  }

  /** What the run waits for, in words. */
  waits(): string {
    const { leases, work } = this.dispatch;
    const { policyVersion, learnerAddress } = this.run;
    const granted = `${work.pendingSteps} of ${work.limitSteps} steps granted and not trained`;
    return `version ${policyVersion + 1} of the learner at ${learnerAddress}, with ${granted} and ${leases.actorCount} actors`;
  }

  /** To be called every now and then: ends leases, groups and pauses whose time is over. */
  tick(): void {
    for (const lease of this.dispatch.leases.overdue()) this.expire(lease);
    this.commits.attempt(() => {
      this.dispatch.sweep();
      this.dispatch.work.tick();
      this.pauses.tick();
    });
    this.changed();
    this.measure();
    if (this.options.now() >= this.auditAt) this.audit();
  }

  /** What people read in the books, written down a last time. */
  close(): void {
    this.commits.attempt(() => this.dispatch.leases.flush());
  }

  private expire(lease: Lease): void {
    const { leases } = this.dispatch;
    const done = this.commits.attempt(() => {
      leases.remove(lease.id);
      this.dispatch.release(lease);
    });
    if (done === null) return;
    const { leaseSeconds } = this.options.config.coordinator;
    this.options.metrics.expiredLeases.inc();
    const follows =
      lease.role === "actor" ? "its work is issued again" : "no work is granted until one registers";
    this.warn(`${lease.name} has not been heard of for ${leaseSeconds} s; ${follows}`);
  }

  private publishedUpTo(version: number): void {
    this.dispatch.run.set({ publishedVersion: Math.max(this.run.publishedVersion, version) });
  }

  /** null = nothing for this seat yet. */
  private offer(request: AcquireRequest): AcquireReply | null {
    const lease = this.dispatch.leases.find(request.leaseId);
    if (lease === null || this.run.phase === "finished") return this.answer(lease !== null, []);
    const before = this.run.submitted;
    const more = this.run.phase === "running" && !this.pauses.paused;
    const requests = this.dispatch.offer(lease, request, more);
    const { store, metrics } = this.options;
    const granted = this.run.submitted - before;
    store.afterCommit(() => metrics.grantedRequests.inc(granted));
    return requests.length === 0 ? null : this.answer(true, requests);
  }

  private answer(known: boolean, requests: readonly RolloutRequest[]): AcquireReply {
    const { phase, learnerAddress } = this.run;
    return { known, phase, learnerAddress, requests };
  }

  /** There may be work for who waits, or nothing ever again. */
  private changed(): void {
    this.queue.serve(!this.options.config.deterministic && this.run.phase !== "finished");
  }

  private warn(message: string): void {
    this.options.log.warn(message);
    this.options.notice({ event: "notice", level: "warn", message });
  }

  private measure(): void {
    const { leases, work } = this.dispatch;
    this.gauges.show({
      phase: this.run.phase,
      actors: leases.actorCount,
      watchers: this.weights.watchers,
      waitingSeats: this.queue.length,
      pendingSteps: work.pendingSteps,
      limitSteps: work.limitSteps,
      pausedSeconds: this.pauses.secondsLeft,
    });
  }

  private audit(): void {
    this.auditAt = this.options.now() + AUDIT_MS;
    this.commits.attempt(() => this.dispatch.leases.flush());
    this.gauges.showBooks(this.books.read(this.run));
    this.gauges.showActors(this.dispatch.leases);
  }
}
