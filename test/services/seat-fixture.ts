/** A seat's surroundings over the memory transport: a coordinator that grants what a test queues, a learner, a desk. */
import { MessageChannel } from "node:worker_threads";
import { SkeinError } from "../../core/errors.js";
import { createEngine } from "../../core/engine/select.js";
import type { VectorEnvironment } from "../../core/env/environment.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { Architecture } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type {
  AcquireReply,
  AcquireRequest,
  HeartbeatReply,
  HeartbeatRequest,
  Phase,
  RegisterReply,
  RegisterRequest,
  RunningRequest,
  Transport,
} from "../../core/transport/transport.js";
import type { Session } from "../../core/transport/session.js";
import type { RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import { Watchdog } from "../../core/watchdog.js";
import type { DeskOptions } from "../../services/actor/desk.js";
import { FragmentPlayer } from "../../services/actor/fragment-player.js";
import { joinRun } from "../../services/actor/join.js";
import { LearnerLine } from "../../services/actor/learner-line.js";
import { LiveWeights } from "../../services/actor/live-weights.js";
import { MemberPlayer } from "../../services/actor/member-player.js";
import type { Seat } from "../../services/actor/seat.js";
import type { Player } from "../../services/actor/seat-work.js";
import { OPTIONS, SmallCoordinator, SmallLearner } from "../transport/helpers.js";

/** Grants what is queued, in order, and remembers every call for work. */
export class Dispatcher extends SmallCoordinator {
  readonly asks: AcquireRequest[] = [];
  readonly beats: HeartbeatRequest[] = [];
  readonly queue: RolloutRequest[] = [];
  phase: Phase = "running";
  registrations = 0;
  /** The next call that gives work back finds its lease unknown. */
  loseLeaseAtFailure = false;
  /** Why nobody may register; empty = everybody may. */
  refusal = "";
  private lastRequestId = 0;
  private wakers: (() => void)[] = [];

  constructor(private readonly learnerAddress: string) {
    super();
  }

  grant(...changes: Partial<RolloutRequest>[]): RolloutRequest[] {
    const granted = changes.map((change): RolloutRequest => {
      const requestId = ++this.lastRequestId;
      return {
        ...{
          requestId,
          task: "task-1",
          group: requestId,
          member: 0,
          attempt: 1,
          seat: 3,
          seed: 50 + requestId,
        },
        ...{ start: "reset", limits: { maxSteps: 0, deadlineSeconds: 0 }, branches: null },
        ...{ policyVersion: 5, exact: false },
        ...change,
      };
    });
    this.queue.push(...granted);
    this.wake();
    return granted;
  }

  /** Answers whoever waits for work. */
  wake(): void {
    for (const wake of this.wakers.splice(0)) wake();
  }

  override register(request: RegisterRequest): Promise<RegisterReply> {
    this.asked.push(request);
    if (this.refusal !== "") return Promise.reject(new SkeinError("REFUSED", this.refusal));
    const leaseId = `lease-${++this.registrations}`;
    return Promise.resolve({
      ...{ leaseId, leaseSeconds: 10, heartbeatSeconds: 0.02, runId: "run-1", index: 3, policyVersion: 0 },
    });
  }

  override heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply> {
    this.beats.push(request);
    const known = request.leaseId === this.leaseId;
    return Promise.resolve({ known, phase: this.phase, learnerAddress: this.learnerAddress });
  }

  override async acquire(request: AcquireRequest): Promise<AcquireReply> {
    this.asks.push(request);
    if (this.loseLeaseAtFailure && request.failed.length > 0) {
      this.loseLeaseAtFailure = false;
      this.registrations++;
    }
    const known = request.leaseId === this.leaseId;
    if (known && this.queue.length === 0 && this.phase === "running") {
      await new Promise<void>((resolve) => this.wakers.push(resolve));
    }
    const requests = known ? this.queue.splice(0, request.capacity) : [];
    return { known, phase: this.phase, learnerAddress: this.learnerAddress, requests };
  }

  /** The only lease that is known. */
  get leaseId(): string {
    return `lease-${this.registrations}`;
  }
}

export interface Surroundings {
  readonly coordinator: Dispatcher;
  readonly learner: SmallLearner;
  /** What a desk and an actor are given. */
  readonly options: Omit<DeskOptions, "weightsFor" | "session"> & { readonly session: Session };
  readonly transport: Transport;
  readonly close: () => Promise<void>;
}

export interface SurroundingsOptions {
  readonly capacityBytes?: number;
  readonly watchdogSeconds?: number;
  /** What heartbeats say. */
  readonly running?: () => readonly RunningRequest[];
}

export async function surroundings({
  capacityBytes = 2 ** 30,
  watchdogSeconds = 600,
  running = () => [],
}: SurroundingsOptions = {}): Promise<Surroundings> {
  const transport = createMemoryTransport(OPTIONS);
  const small = new SmallLearner();
  await transport.serveRollouts(small.onDelivery, "memory:learner");
  const coordinator = new Dispatcher("memory:learner");
  await transport.serveControl(coordinator, "memory:coordinator");
  const control = transport.connectControl("memory:coordinator");
  const beat = () => ({ appliedVersion: 5, appliedHash: "", running: running() });
  const session = await joinRun(control, { name: "actor-3", index: 3 }, beat);
  const metrics = createActorMetrics({ processMetrics: false });
  const log = createLogger({ role: "actor", level: "silent" });
  const now = (): number => performance.now() / 1000;
  const watchdog = new Watchdog({ seconds: watchdogSeconds, role: "actor", now, log });
  const learner = new LearnerLine({
    ...{ capacityBytes, metrics, log, now, onSettled: () => watchdog.progress() },
    connect: (address) => transport.connectRollouts(address),
  });
  const names = { runId: "run-1", actorId: "actor-3", coordinator: "memory:coordinator" };
  const close = async (): Promise<void> => {
    coordinator.wake();
    watchdog.close();
    learner.close();
    await session.close();
    await transport.close();
  };
  const options = { ...names, control, session, learner, watchdog, metrics, log, now };
  return { coordinator, learner: small, options, transport, close };
}

const MODEL: Architecture = { kind: "mlp", hidden: [4] };

export function weightsFor(environment: VectorEnvironment, version: number): WeightsSnapshot {
  const { observationSpace, actionSpace } = environment.spec;
  return { ...initialWeights(createModel({ ...MODEL, observationSpace, actionSpace }), 3), version };
}

/** What a rollout thread does, in this one: fragments of 4 steps, weights of version 5 from the start. */
export async function playerOver(
  environment: VectorEnvironment,
): Promise<Player & Pick<Seat, "give"> & { close(): void }> {
  const { observationSpace, actionSpace } = environment.spec;
  const model = createModel({ ...MODEL, observationSpace, actionSpace });
  const { engine } = await createEngine("tfjs:wasm", model);
  const { port1, port2 } = new MessageChannel();
  const weights = new LiveWeights(engine, port2);
  weights.swap(weightsFor(environment, 5));
  const policy = new PolicyRunner(engine, model, environment);
  const steps = new Uint32Array(new SharedArrayBuffer(4 * environment.count));
  const fragments = new FragmentPlayer(environment, policy, weights, 4, steps);
  const members = new MemberPlayer(environment, policy, weights, 17, steps);
  return {
    seat: 3,
    instances: environment.count,
    stepsOf: (i) => steps[i]!,
    give: (newer) => weights.offer(newer),
    collect: async (request, exactly) => {
      if (exactly !== null) weights.swap(exactly);
      const collected = await fragments.collect(request);
      return { kind: "fragment", collected, swaps: weights.takeSwaps() };
    },
    play: async (assignments) => {
      const ended = await members.play(assignments);
      // As a message to a thread and back does: others get their turn.
      await new Promise(setImmediate);
      return { kind: "played", ended, swaps: weights.takeSwaps() };
    },
    close: () => [engine, port1].forEach((thing) => thing.close()),
  };
}
