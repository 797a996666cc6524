/** What the transport tests share: sample records, a small coordinator, and waiting for conditions. */
import { setTimeout as pause } from "node:timers/promises";
import { joinAnchorTexts } from "../../core/anchor-texts.js";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import type {
  AcquireReply,
  AcquireRequest,
  Books,
  Control,
  HeartbeatReply,
  HeartbeatRequest,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  RolloutDelivery,
  RunStatus,
  TransportOptions,
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../../core/transport/transport.js";
import type { Rollout, RolloutRequest, RolloutColumns, WeightsSnapshot } from "../../core/types.js";
import { weightsOf } from "../../core/weights/payload.js";

export const OPTIONS: TransportOptions = {
  deadlineSeconds: 5,
  keepaliveSeconds: 5,
  reconnectSeconds: 10,
  credits: 4,
  chunkBytes: 64 * 1024,
  maxMessageBytes: 64 * 1024 * 1024,
};

/** Resolves once `condition` holds; throws after `seconds`. */
export async function eventually(what: string, condition: () => boolean, seconds = 15): Promise<void> {
  const deadline = performance.now() + 1000 * seconds;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await pause(2);
  }
}

/** The SkeinError that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<SkeinError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
  throw new Error("expected a rejection");
}

/** A rollout of two rows with every column filled from `seed`, NaN and extras included; action masks, anchor keys, post-decision states and memory with discrete actions. */
export function sampleRollout(seed: number, steps = 5, discrete = true): Rollout {
  const random = new Random(seed);
  const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const words = (length: number): Uint32Array => Uint32Array.from({ length }, () => random.nextUint32());
  const bits = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.integer(2));
  const first = Math.floor(steps / 2);
  const columns: RolloutColumns = {
    observationWidth: 3,
    actionWidth: discrete ? 1 : 2,
    actionMaskWidth: discrete ? 4 : 0,
    stateWidth: discrete ? 2 : 0,
    offsets: Uint32Array.of(0, first, steps),
    observations: floats(3 * steps),
    actions: discrete ? Int32Array.from({ length: steps }, () => random.integer(9) - 4) : floats(2 * steps),
    actionMasks: bits(discrete ? 4 * steps : 0),
    anchorIndices: Uint32Array.from({ length: discrete ? steps : 0 }, () => random.integer(3)),
    anchorTexts: discrete && steps > 0 ? joinAnchorTexts(["ü \u{1f9f6}", "", "a\nb"]) : new Uint8Array(0),
    postObservations: floats(discrete ? 3 * steps : 0),
    behaviorLogprobs: floats(steps),
    rewards: floats(steps),
    mask: bits(steps),
    versionRunLengths: Uint32Array.of(first, steps - first),
    versionRunValues: Uint32Array.of(6, 7),
    initialStates: floats(discrete ? 4 : 0),
    finalObservations: floats(6),
    terminated: Uint8Array.of(1, 0),
    truncated: Uint8Array.of(0, 1),
    stopReasons: Uint8Array.of(1, 2),
    trajectoryIds: words(2),
    seeds: words(2),
    stepExtras: { value: floats(steps), entropy: floats(steps) },
    rowCounters: { episodeReturn: Float32Array.of(12.5, NaN), "a name, with=anything": floats(2) },
  };
  return {
    runId: "run-1",
    rolloutId: `run-1/seat-3/${seed}/0/1`,
    requestId: 2 ** 40 + seed,
    ...{ task: "seat-3", group: seed, member: 0, attempt: 1 },
    actorId: "actor-0",
    seat: 3,
    collectSeconds: 0.25,
    columns,
  };
}

export function sampleWeights(version: number, size = 8): WeightsSnapshot {
  const data = Float32Array.from({ length: size }, (_, i) => version + i / 8);
  return {
    version,
    tensors: [
      { name: "torso/kernel", dtype: "float32", shape: [2, size / 2], data },
      { name: "torso/counts", dtype: "int32", shape: [3], data: Int32Array.of(-1, 0, version) },
      { name: "scalar", dtype: "float32", shape: [], data: Float32Array.of(-0) },
      { name: "empty", dtype: "float32", shape: [0, 4], data: new Float32Array(0) },
    ],
  };
}

/** Those weights in full, as they travel. */
export function sampleDelivery(version: number, size = 8): WeightsDelivery {
  const { manifest, payload } = weightsOf(sampleWeights(version, size));
  return { manifest, payload };
}

export const sampleBooks: Books = {
  submitted: { rollouts: 10, steps: 2 ** 40 },
  trained: { rollouts: 4, steps: 400 },
  stale: { rollouts: 1, steps: 100 },
  filtered: { voidedGroup: { rollouts: 2, steps: 150 } },
  failed: { leaseEnded: { rollouts: 1, steps: 0 }, refused: { rollouts: 1, steps: 7 } },
  inFlight: { rollouts: 1, steps: 0 },
};

/** `work` with branches, at steps of its own and at random. */
function branching(work: RolloutRequest): RolloutRequest[] {
  const somewhere = { at: "random" as const, states: 2, count: 3, maxSteps: 0 };
  const here = { at: [0, 7, 2 ** 31], states: 3, count: 1, maxSteps: 2 ** 33 };
  return [somewhere, here].map((branches) => ({ ...work, branches }));
}

/** A coordinator that answers from its fields, keeps the newest weights, and remembers what it was asked. */
export class SmallCoordinator implements Control {
  readonly asked: unknown[] = [];
  newest: WeightsDelivery | null = null;
  publishedBy = "";
  /** Where it says that weights are to be had. */
  source = "";
  /** Versions handed to watchers, over all watches. */
  readonly handedOut: number[] = [];
  /** `afterVersion` of each watch. */
  readonly watchedFrom: number[] = [];
  /** `relayAddress` of each watch. */
  readonly relays: string[] = [];
  watchesOver = 0;
  private readonly published: (() => void)[] = [];

  register(request: RegisterRequest): Promise<RegisterReply> {
    this.asked.push(request);
    return Promise.resolve({
      ...{ leaseId: "lease-1", leaseSeconds: 12.5, heartbeatSeconds: 2.5 },
      ...{ runId: "run-1", index: 4, policyVersion: 2 ** 33 },
    });
  }

  heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply> {
    this.asked.push(request);
    return Promise.resolve({ known: true, phase: "running", learnerAddress: "host:1" });
  }

  acquire(request: AcquireRequest): Promise<AcquireReply> {
    this.asked.push(request);
    const work: RolloutRequest = {
      ...{ seat: request.seat, task: "ünïcode", group: 2 ** 33, member: 3, attempt: 2, seed: 0xffff_ffff },
      ...{ start: "reset", limits: { maxSteps: 7, deadlineSeconds: 1.5 }, branches: null },
      ...{ policyVersion: 5, exact: true },
      requestId: request.lastRequestId + 1,
    };
    const requests =
      request.lastRequestId === 0 ? [] : [work, { ...work, start: "continue" as const }, ...branching(work)];
    return Promise.resolve({ known: true, phase: "finished", learnerAddress: "", requests });
  }

  report(request: ReportRequest): Promise<ReportReply> {
    this.asked.push(request);
    return Promise.resolve({ known: false, actors: 7, voidedGroups: [3, 2 ** 33] });
  }

  leave(request: { readonly leaseId: string }): Promise<void> {
    this.asked.push(request);
    return Promise.resolve();
  }

  status(): Promise<RunStatus> {
    return Promise.resolve({
      ...{ runId: "run-1", phase: "waiting", policyVersion: 3, updates: 4, envSteps: 2 ** 40 },
      runConfig: JSON.stringify({ text: "ünïcode %20 \u{1f9f6}" }),
      meanReturn100: NaN,
      pausedSeconds: 1.25,
      books: sampleBooks,
      actors: [{ name: "actor-0", index: 0, secondsSinceSeen: 0.5, appliedVersion: -1 }],
    });
  }

  pause(request: { readonly seconds: number; readonly reason: string }): Promise<void> {
    this.asked.push(request);
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.asked.push("resume");
    return Promise.resolve();
  }

  publishWeights(delivery: WeightsDelivery, incarnation: string): Promise<void> {
    this.publishedBy = incarnation;
    this.newest = delivery;
    this.wakeAll();
    return Promise.resolve();
  }

  fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    this.asked.push(request);
    if (this.newest?.manifest.version === request.version) return Promise.resolve(this.newest);
    const message = `version ${request.version} is not kept: only the newest is`;
    return Promise.reject(new SkeinError("REFUSED", message));
  }

  private wakeAll(): void {
    for (const wake of this.published.splice(0)) wake();
  }

  async *watchWeights(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WeightsAnnouncement> {
    this.watchedFrom.push(request.afterVersion);
    this.relays.push(request.relayAddress);
    signal.addEventListener("abort", () => this.wakeAll(), { once: true });
    let last = request.afterVersion;
    try {
      while (!signal.aborted) {
        if (this.newest !== null && this.newest.manifest.version > last) {
          const { version, rootHash } = this.newest.manifest;
          last = version;
          this.handedOut.push(last);
          yield { version, rootHash, source: this.source, ageSeconds: 0.25 };
        } else {
          await new Promise<void>((resolve) => this.published.push(resolve));
        }
      }
    } finally {
      this.watchesOver += 1;
    }
  }
}

/** A learner that keeps deliveries untaken until told, and remembers how many it held at most. */
export class SmallLearner {
  readonly received: RolloutDelivery[] = [];
  readonly held: RolloutDelivery[] = [];
  mostHeld = 0;

  readonly onDelivery = (delivery: RolloutDelivery): void => {
    this.received.push(delivery);
    this.held.push(delivery);
    this.mostHeld = Math.max(this.mostHeld, this.held.length);
  };

  /** Takes each delivery at once and settles none. */
  readonly taking = (delivery: RolloutDelivery): void => {
    this.received.push(delivery);
    delivery.take();
  };

  /** Settles the oldest delivery held, waiting for it if there is none. */
  async ackNext(): Promise<void> {
    await eventually("a delivery to acknowledge", () => this.held.length > 0);
    this.held.shift()?.ack();
  }

  /** Takes the oldest delivery held and leaves it unsettled, waiting for it if there is none. */
  async takeNext(): Promise<void> {
    await eventually("a delivery to take", () => this.held.length > 0);
    this.held.shift()?.take();
  }

  get groups(): number[] {
    return this.received.map((delivery) => delivery.rollout.group);
  }
}
