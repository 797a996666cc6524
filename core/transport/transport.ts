/**
 * THE transport seam: one interface for control, one for rollouts, several implementations, one conformance
 * suite. Everything crosses it as encoded bytes, in memory too.
 *
 * Delivery is at least once: a sender keeps a rollout until it is acknowledged and sends it again after a
 * reconnect; the receiver tells repeats by `rolloutId`. Weights are latest-wins: a watcher that falls behind
 * skips versions and never sees one go back.
 */
import type { Rollout, RolloutRequest, WeightsSnapshot } from "../types.js";

export type Role = "actor" | "learner";

/** waiting = no learner yet; finished = leave. */
export type Phase = "waiting" | "running" | "finished";

export interface RegisterRequest {
  readonly role: Role;
  /** Unique among the living; registering a name again replaces its earlier holder. */
  readonly name: string;
  /** Place in the fleet that the caller wants; null = any free one. Learners send null. */
  readonly index: number | null;
  /** Where the learner takes rollouts, `host:port`; empty for actors. */
  readonly dataAddress: string;
  /** Learner only: the version it starts from. */
  readonly policyVersion: number;
  /** Learner only: steps already disposed of (trained, filtered, stale) and already received. */
  readonly disposedSteps: number;
  readonly receivedSteps: number;
  /** Learner only: last fragment received of each seat, as [seat, sequence] pairs. */
  readonly seatSequences: readonly (readonly [seat: number, sequence: number])[];
}

export interface RegisterReply {
  readonly leaseId: string;
  /** Seconds after the last heartbeat at which the lease ends. */
  readonly leaseSeconds: number;
  readonly heartbeatSeconds: number;
  readonly runId: string;
  /** Place in the fleet, from 0. */
  readonly index: number;
}

export interface HeartbeatRequest {
  readonly leaseId: string;
  /** Newest policy version in use. */
  readonly appliedVersion: number;
}

export interface HeartbeatReply {
  /** false = the lease is gone (expired, or the coordinator restarted): register again. */
  readonly known: boolean;
  readonly phase: Phase;
  readonly learnerAddress: string;
}

export interface AcquireRequest {
  readonly leaseId: string;
  readonly seat: number;
  /** The request this seat has delivered since its last call; 0 = none. */
  readonly completedRequestId: number;
}

export interface AcquireReply {
  readonly known: boolean;
  readonly phase: Phase;
  readonly learnerAddress: string;
  /** null = nothing to do yet; ask again. */
  readonly request: RolloutRequest | null;
}

/** What the learner tells after each batch. */
export interface ReportRequest {
  readonly leaseId: string;
  readonly phase: Phase;
  readonly policyVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  readonly disposedSteps: number;
  readonly receivedSteps: number;
  /** Last fragment received of each seat. */
  readonly seatSequences: readonly (readonly [seat: number, sequence: number])[];
  /** Mean return of the last 100 episodes; NaN before the first episode ends. */
  readonly meanReturn100: number;
}

export interface ReportReply {
  readonly known: boolean;
  /** Actors whose lease is alive. */
  readonly actors: number;
}

export interface ActorStatus {
  readonly name: string;
  readonly index: number;
  readonly secondsSinceSeen: number;
  readonly appliedVersion: number;
}

export interface RunStatus {
  readonly runId: string;
  /** The resolved run file, JSON. */
  readonly runConfig: string;
  readonly phase: Phase;
  readonly policyVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  readonly meanReturn100: number;
  readonly actors: readonly ActorStatus[];
}

/** The coordinator's calls. The coordinator implements it; a client of it looks the same from afar. */
export interface Control {
  register(request: RegisterRequest): Promise<RegisterReply>;
  heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply>;
  /** Waits for work up to a few seconds before it answers with none. */
  acquire(request: AcquireRequest): Promise<AcquireReply>;
  report(request: ReportRequest): Promise<ReportReply>;
  leave(request: { readonly leaseId: string }): Promise<void>;
  status(): Promise<RunStatus>;
  publishWeights(snapshot: WeightsSnapshot): Promise<void>;
  /** Throws REFUSED where the version is not kept any more. */
  fetchWeights(version: number): Promise<WeightsSnapshot>;
  /** Every newest snapshot with a version above `afterVersion` (−1 = any), until `signal` aborts. */
  watchWeights(afterVersion: number, signal: AbortSignal): AsyncIterable<WeightsSnapshot>;
}

export interface Closable {
  close(): Promise<void>;
}

/** A listening server. */
export interface Listening extends Closable {
  /** `host:port` as others reach it. */
  readonly address: string;
}

export interface RolloutSender extends Closable {
  /**
   * Resolves when the receiver has acknowledged the rollout. Waits while the receiver grants no credit.
   * Rejects UNAVAILABLE once nobody has answered for `reconnectSeconds`, REFUSED where the receiver says no.
   */
  send(rollout: Rollout): Promise<void>;
  /** Closes at once: every rollout not yet acknowledged rejects UNAVAILABLE. */
  abandon(): void;
}

export interface RolloutDelivery {
  readonly rollout: Rollout;
  /** Encoded size. */
  readonly bytes: number;
  /** Frees the sender's credit; call exactly one of the two. */
  ack(): void;
  reject(reason: string): void;
}

/** Deliveries are handed to `onDelivery` in the order in which they arrive from each sender. */
export type DeliveryHandler = (delivery: RolloutDelivery) => void;

export interface TransportOptions {
  /** Seconds a unary call may take. */
  readonly deadlineSeconds: number;
  /** Seconds between keep-alive pings on an idle connection; unanswered for as long again = broken. */
  readonly keepaliveSeconds: number;
  /** Seconds without any answer after which a client gives up. */
  readonly reconnectSeconds: number;
  /** Rollouts a sender may have unacknowledged. */
  readonly credits: number;
  /** Largest chunk on the wire, bytes. */
  readonly chunkBytes: number;
  /** Largest whole message, bytes. */
  readonly maxMessageBytes: number;
}

export interface Transport extends Closable {
  serveControl(control: Control, address: string): Promise<Listening>;
  connectControl(address: string): Control & Closable;
  serveRollouts(onDelivery: DeliveryHandler, address: string): Promise<Listening>;
  connectRollouts(address: string): RolloutSender;
}
