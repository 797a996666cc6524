/**
 * THE transport seam: one interface for control, one for rollouts, several implementations, one conformance
 * suite. Everything crosses it as encoded bytes, in memory too.
 *
 * Delivery is at least once: a sender keeps a rollout until it is settled and sends it again after a reconnect, to
 * whichever receiver is there then; the receiver tells repeats by `rolloutId`. Weights are latest-wins: a watcher that falls behind
 * skips versions and never sees one go back.
 */
import type { Rollout, RolloutRequest, WeightsManifest } from "../types.js";

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
  /** Random, one a process: tells a process that registers again from one that has taken its place. */
  readonly incarnation: string;
  /**
   * Learner only: the version its weights and ledger are of. Work trained into later versions of another incarnation
   * is lost with them.
   */
  readonly policyVersion: number;
}

export interface RegisterReply {
  readonly leaseId: string;
  /** Seconds after the last heartbeat at which the lease ends. */
  readonly leaseSeconds: number;
  readonly heartbeatSeconds: number;
  readonly runId: string;
  /** Place in the fleet, from 0. */
  readonly index: number;
  /**
   * Learner only: the version to go on as. Versions never go back: a learner that returns to a checkpoint goes on
   * above every version ever published.
   */
  readonly policyVersion: number;
}

/** How far a request is that its seat is working on. */
export interface RunningRequest {
  readonly requestId: number;
  /** Environment steps so far. */
  readonly steps: number;
}

export interface HeartbeatRequest {
  readonly leaseId: string;
  /** Newest policy version in use; −1 = none yet. */
  readonly appliedVersion: number;
  /** Root hash of the weights in use, hex; empty = none yet. */
  readonly appliedHash: string;
  /** Actor only. */
  readonly running: readonly RunningRequest[];
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
  /** Pieces of work wanted, at least 1. */
  readonly capacity: number;
  /** Newest request that this seat has heard of; 0 = none. What was granted beyond it got lost and is told again. */
  readonly lastRequestId: number;
  /** Requests that the seat gives back, with the reason. */
  readonly failed: readonly FailedRequest[];
}

export interface FailedRequest {
  readonly requestId: number;
  readonly reason: string;
}

export interface AcquireReply {
  readonly known: boolean;
  readonly phase: Phase;
  readonly learnerAddress: string;
  /** Empty = nothing to do yet; ask again. */
  readonly requests: readonly RolloutRequest[];
}

/**
 * held = taken in, to be trained or dropped · trained · filtered = left out by the recipe or with its group · stale =
 * policyLag above the limit · failed = refused, or a repeat of work that was trained already
 */
export const VERDICTS = ["held", "trained", "filtered", "stale", "failed"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What became of a request. The learner's word counts above what the coordinator believed. */
export interface Outcome {
  readonly requestId: number;
  readonly verdict: Verdict;
  /** Why, where filtered or failed; one of a few words, fit for a label. */
  readonly reason: string;
  readonly steps: number;
  /** The version that the batch made, where trained; else −1. */
  readonly version: number;
  /** Mean over the episodes that ended in it; NaN where none did. */
  readonly episodeReturn: number;
  readonly episodeLength: number;
}

/** What the learner tells after each batch. */
export interface ReportRequest {
  readonly leaseId: string;
  readonly phase: Phase;
  readonly policyVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  /** Newest version that a checkpoint holds; −1 = none. Nothing trained up to it can be lost any more. */
  readonly checkpointVersion: number;
  /** All that is not yet confirmed by a reply: a repeat says the same again and changes nothing. */
  readonly outcomes: readonly Outcome[];
  /** Mean return of the last 100 episodes; NaN before the first episode ends. */
  readonly meanReturn100: number;
}

export interface ReportReply {
  readonly known: boolean;
  /** Actors whose lease is alive. */
  readonly actors: number;
  /** Groups that will never be complete: what is held of them is to be dropped. */
  readonly voidedGroups: readonly number[];
}

export interface ActorStatus {
  readonly name: string;
  readonly index: number;
  readonly secondsSinceSeen: number;
  readonly appliedVersion: number;
}

export interface Count {
  readonly rollouts: number;
  readonly steps: number;
}

/**
 * The books of a run, a request a rollout. At all times submitted = trained + filtered + stale + failed + in flight.
 * Steps are those of rollouts that the learner has seen.
 */
export interface Books {
  /** Requests granted, every attempt of its own. */
  readonly submitted: Count;
  readonly trained: Count;
  readonly stale: Count;
  /** By reason. */
  readonly filtered: Readonly<Record<string, Count>>;
  readonly failed: Readonly<Record<string, Count>>;
  /** Granted and in no other column: being collected, on its way, or held by the learner. */
  readonly inFlight: Count;
}

export interface RunStatus {
  readonly runId: string;
  /** The resolved run file, JSON. */
  readonly runConfig: string;
  readonly phase: Phase;
  /** Seconds until work is handed out again; 0 = not paused. */
  readonly pausedSeconds: number;
  readonly books: Books;
  readonly policyVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  readonly meanReturn100: number;
  readonly actors: readonly ActorStatus[];
}

/** Weights on their way. */
export interface WeightsDelivery {
  readonly manifest: WeightsManifest;
  /** Full or a delta, as the manifest says (core/weights/payload.ts). Immutable. */
  readonly payload: Uint8Array;
}

/** The newest version at hand from `oldest` to `version`. */
export interface WeightsRequest {
  readonly version: number;
  readonly oldest: number;
  /** Version whose weights the caller has: it takes a delta from it where that is smaller. null = none. */
  readonly base: number | null;
}

/** Where weights are to be had: the coordinator, or an actor that hands on what it has verified. */
export interface WeightsSource {
  /**
   * A relay waits for such a version, up to `RELAY_WAIT_SECONDS`; the coordinator does not. Throws REFUSED where
   * there is none.
   */
  fetchWeights(request: WeightsRequest): Promise<WeightsDelivery>;
}

/** Longest that a relay lets another wait for weights that it is fetching itself. */
export const RELAY_WAIT_SECONDS = 60;

export interface WatchRequest {
  /** Only versions above this one; −1 = any. */
  readonly afterVersion: number;
  /** Where the watcher hands weights on to others; empty = it does not. */
  readonly relayAddress: string;
}

/** There is a newer version. The hash comes from the coordinator, so whoever brings the weights need not be trusted. */
export interface WeightsAnnouncement {
  readonly version: number;
  readonly rootHash: string;
  /** Address of the relay to fetch from; empty = the coordinator. */
  readonly source: string;
  /** Since it was published, when this was sent. */
  readonly ageSeconds: number;
}

/** The coordinator's calls. The coordinator implements it; a client of it looks the same from afar. */
export interface Control extends WeightsSource {
  register(request: RegisterRequest): Promise<RegisterReply>;
  heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply>;
  /** Waits for work up to a few seconds before it answers with none. */
  acquire(request: AcquireRequest): Promise<AcquireReply>;
  report(request: ReportRequest): Promise<ReportReply>;
  leave(request: { readonly leaseId: string }): Promise<void>;
  status(): Promise<RunStatus>;
  /** Hands out no work for `seconds`, then goes on by itself. Pausing anew sets the time anew. */
  pause(request: { readonly seconds: number; readonly reason: string }): Promise<void>;
  resume(): Promise<void>;
  /**
   * From the learner that registered with that `incarnation`. Throws REFUSED where another learner has replaced it,
   * where the version is older than the newest, or the delta's parent is not kept (publish it in full then),
   * MESSAGE_CORRUPT where the payload does not make what the manifest says.
   */
  publishWeights(delivery: WeightsDelivery, incarnation: string): Promise<void>;
  /** Every newest version above `afterVersion`, until `signal` aborts. */
  watchWeights(request: WatchRequest, signal: AbortSignal): AsyncIterable<WeightsAnnouncement>;
}

export interface Closable {
  close(): Promise<void>;
}

/** A listening server. */
export interface Listening extends Closable {
  /** `host:port` as others reach it. */
  readonly address: string;
}

/**
 * What becomes of a rollout that was sent. Both reject REFUSED where the receiver says no, UNAVAILABLE once nobody has
 * answered for `reconnectSeconds` or this side has closed. Look at `settled`; `taken` may be left alone.
 */
export interface Sending {
  /**
   * The receiver has it and has room for another. Resolves at the first taking, also where the rollout is delivered
   * again afterwards; never after a rejection: what ends before it is taken rejects here as in `settled`.
   */
  readonly taken: Promise<void>;
  /** It will never be asked for again: the sender has forgotten it. Resolves after `taken`. */
  readonly settled: Promise<void>;
}

export interface RolloutSender extends Closable {
  /**
   * Copies the rollout before it returns and never throws. Waits while the receiver grants no credit: credits bound
   * what is not yet taken, not what is not yet settled.
   */
  send(rollout: Rollout): Sending;
  /** The receiver is at `address` from now on: everything unsettled is delivered there, oldest first. */
  moveTo(address: string): void;
  /** Waits up to `deadlineSeconds` until all is taken, then rejects what is not settled with UNAVAILABLE. */
  close(): Promise<void>;
  /** Closes at once: everything unsettled rejects UNAVAILABLE. */
  abandon(): void;
}

/** Each of the three may be called more than once; only the first taking and the first settling count. */
export interface RolloutDelivery {
  readonly rollout: Rollout;
  /** Encoded size. */
  readonly bytes: number;
  /** There is room for another: frees the sender's credit. */
  take(): void;
  /** Settles, and takes: the sender may forget it. Until then it is delivered again after any break. */
  ack(): void;
  /** Settles, and takes: it is refused. */
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
  /** Rollouts that a sender may have written and the receiver not yet taken. */
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
  /** Weights wait for everybody where announcements say: actors need not hand them on. */
  readonly storesWeights: boolean;
  /** Hands weights on to at most `receivers` others at once; more are REFUSED. */
  serveWeights(source: WeightsSource, address: string, receivers: number): Promise<Listening>;
  /** One attempt a call: who fetches has somewhere else to turn to. */
  connectWeights(address: string): WeightsSource & Closable;
}
