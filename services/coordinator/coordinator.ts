/**
 * The coordinator: leases, work, weights and the state of the run, all in memory. What it forgets by dying it learns
 * again: the learner registers with its counts and publishes its newest weights, actors register and ask for work.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { NoticeEvent } from "../../core/progress.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { CoordinatorMetrics } from "../../core/telemetry/metrics.js";
import type {
  AcquireReply,
  AcquireRequest,
  Control,
  HeartbeatReply,
  HeartbeatRequest,
  Phase,
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
import { ActorGauges } from "./actor-gauges.js";
import { Leases, type Lease } from "./leases.js";
import { WeightsRegistry } from "./weights-registry.js";
import { WorkGate } from "./work-gate.js";

/** How long `acquire` waits for work before it answers with none: at most half of what its caller waits. */
const ACQUIRE_WAIT_MS = 2000;

export interface CoordinatorOptions {
  readonly config: RunConfig;
  readonly metrics: CoordinatorMetrics;
  readonly notice: (event: NoticeEvent) => void;
  readonly log: Logger;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

type Progress = Pick<ReportRequest, "policyVersion" | "updates" | "envSteps" | "meanReturn100">;

export class Coordinator implements Control {
  readonly runId: string;
  private readonly leases: Leases;
  private readonly weights: WeightsRegistry;
  private readonly gauges: ActorGauges;
  private readonly gate: WorkGate;
  private readonly waiting = new Set<() => void>();
  private phase: Phase = "waiting";
  private learnerAddress = "";
  private learnerLease = "";
  private progress: Progress = { policyVersion: 0, updates: 0, envSteps: 0, meanReturn100: Number.NaN };

  constructor(private readonly options: CoordinatorOptions) {
    const { config, now } = options;
    this.runId = `${config.run.name}-s${config.run.seed}`;
    this.leases = new Leases(config.coordinator.leaseSeconds, now);
    this.gauges = new ActorGauges(options.metrics);
    const keep = config.staleness.maxPolicyLag + 3;
    this.weights = new WeightsRegistry({ keep, weights: config.weights, restored: null, now });
    this.gate = new WorkGate({
      batchSteps: resolveRecipe(config.recipe).sampler.batchSteps,
      fragmentSteps: config.actors.environments * config.actors.fragmentSteps,
      maxPolicyLag: config.staleness.maxPolicyLag,
      deterministic: config.deterministic,
    });
  }

  async register(request: RegisterRequest): Promise<RegisterReply> {
    const { config } = this.options;
    if (request.role === "actor" && request.index !== null && config.deterministic) {
      if (request.index >= config.actors.processes) {
        throw new SkeinError(
          "REFUSED",
          `register: expected an index below actors.processes (${config.actors.processes}) in a deterministic run, got ${request.index}`,
        );
      }
    }
    const { lease, replaced } = this.leases.add(request.role, request.name, request.index);
    for (const old of replaced) this.release(old);
    this.options.log.info({ name: lease.name, index: lease.index, replaced: replaced.length }, "registered");
    if (request.role === "learner" && request.dataAddress !== "") this.learnerArrived(lease, request);
    this.measure();
    return Promise.resolve({
      leaseId: lease.id,
      leaseSeconds: config.coordinator.leaseSeconds,
      heartbeatSeconds: config.coordinator.heartbeatSeconds,
      runId: this.runId,
      index: Math.max(0, lease.index),
    });
  }

  async heartbeat({ leaseId, appliedVersion }: HeartbeatRequest): Promise<HeartbeatReply> {
    const lease = this.leases.renew(leaseId);
    if (lease !== null) lease.appliedVersion = appliedVersion;
    return Promise.resolve({ known: lease !== null, phase: this.phase, learnerAddress: this.learnerAddress });
  }

  async acquire({ leaseId, seat, completedRequestId }: AcquireRequest): Promise<AcquireReply> {
    if (completedRequestId !== 0) {
      this.gate.complete(completedRequestId, leaseId);
      this.options.metrics.completedRequests.inc();
    }
    const { deadlineSeconds } = this.options.config.transport;
    const deadline = this.options.now() + Math.min(ACQUIRE_WAIT_MS, 500 * deadlineSeconds);
    for (;;) {
      const known = this.leases.renew(leaseId) !== null;
      const request: RolloutRequest | null =
        known && this.phase === "running" ? this.gate.grant(seat, leaseId) : null;
      if (request !== null) {
        this.options.metrics.grantedRequests.inc();
        this.options.log.debug(request, "granted");
      }
      const left = deadline - this.options.now();
      if (!known || request !== null || this.phase === "finished" || left <= 0) {
        this.measure();
        return { known, phase: this.phase, learnerAddress: this.learnerAddress, request };
      }
      await this.change(left);
    }
  }

  async report(request: ReportRequest): Promise<ReportReply> {
    const known = this.leases.renew(request.leaseId) !== null && request.leaseId === this.learnerLease;
    if (known) {
      this.progress = request;
      // A late report of a learner that is done does not set its run going again; registering does.
      if (this.phase !== "finished") this.phase = request.phase;
      if (this.phase !== "running") this.gate.stop();
      this.gate.reconcile(request.policyVersion, request);
      this.changed();
    }
    return Promise.resolve({ known, actors: this.leases.actors().length });
  }

  async leave({ leaseId }: { readonly leaseId: string }): Promise<void> {
    const lease = this.leases.remove(leaseId);
    if (lease !== null) {
      this.options.log.info({ name: lease.name }, "left");
      this.release(lease);
    }
    return Promise.resolve();
  }

  async status(): Promise<RunStatus> {
    const { policyVersion, updates, envSteps, meanReturn100 } = this.progress;
    return Promise.resolve({
      runId: this.runId,
      phase: this.phase,
      policyVersion,
      updates,
      envSteps,
      meanReturn100,
      actors: this.leases.actors(),
      runConfig: JSON.stringify(this.options.config),
    });
  }

  async publishWeights(delivery: WeightsDelivery): Promise<void> {
    const { metrics, log } = this.options;
    metrics.weightsReceivedBytes.inc(modeOf(delivery.manifest), delivery.payload.byteLength);
    this.weights.publish(delivery);
    log.debug({ version: delivery.manifest.version }, "weights published");
    metrics.publishedWeights.inc();
    metrics.policyVersion.set(delivery.manifest.version);
    return Promise.resolve();
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
    const { policyVersion, envSteps } = this.progress;
    return {
      runId: this.runId,
      phase: this.phase,
      policyVersion,
      envSteps,
      actors: this.leases.actors().length,
    };
  }

  /** To be called every now and then: ends leases whose time is over. */
  tick(): void {
    for (const lease of this.leases.expire()) {
      this.options.metrics.expiredLeases.inc();
      this.options.log.warn({ name: lease.name }, "lease expired");
      this.options.notice({
        event: "notice",
        level: "warn",
        message: `${lease.name} has not been heard of for ${this.options.config.coordinator.leaseSeconds} s; its work is issued again`,
      });
      this.release(lease);
    }
    this.measure();
  }

  private learnerArrived(lease: Lease, request: RegisterRequest): void {
    this.learnerAddress = request.dataAddress;
    this.learnerLease = lease.id;
    this.gate.start(request.policyVersion, request);
    this.phase = "running";
    this.changed();
  }

  /** What a lease held is free again. */
  private release(lease: Lease): void {
    const voided = this.gate.void(lease.id);
    if (voided > 0) this.options.metrics.voidedRequests.inc(voided);
    if (lease.id === this.learnerLease && this.phase === "running") {
      this.gate.stop();
      this.phase = "waiting";
    }
    this.changed();
  }

  private measure(): void {
    const { metrics } = this.options;
    const actors = this.leases.actors();
    metrics.registeredActors.set(actors.length);
    this.gauges.show(actors);
    metrics.watchers.set(this.weights.watchers);
    metrics.runningSteps.set(this.gate.runningSteps);
    metrics.acceptedSteps.set(this.gate.pendingSteps - this.gate.runningSteps);
    metrics.phase.set(this.phase);
  }

  private changed(): void {
    for (const wake of [...this.waiting]) wake();
  }

  private change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.waiting.add(wake);
    });
  }
}
