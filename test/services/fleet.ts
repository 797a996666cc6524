/**
 * A whole fleet in miniature on a real coordinator's record: seats that ask, collect and deliver, a scripted learner,
 * and an order of events drawn at random. Faults are methods. It checks after every event what must always hold.
 */
import { expect } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import type { Random } from "../../core/random.js";
import type { RolloutRequest } from "../../core/types.js";
import { BookReader, imbalanceOf } from "../../services/coordinator/books.js";
import { Dispatch } from "../../services/coordinator/dispatch.js";
import { Store } from "../../services/coordinator/store.js";
import { keyOf, ScriptedLearner, type LearnerOptions, type Parcel } from "./fleet-learner.js";

export interface FleetOptions extends LearnerOptions {
  readonly seats: number;
  readonly fragmentSteps: number;
  readonly deterministic: boolean;
  /** What is sent is kept by a broker: it outlives its actor. */
  readonly broker: boolean;
}

interface Actor {
  readonly name: string;
  readonly seat: number;
  lease: string;
  /** Newest request heard of. */
  heard: number;
  collecting: RolloutRequest[];
  giveBack: { requestId: number; reason: string }[];
  lives: number;
}

const LEASE_SECONDS = 5;
const RECONNECT_SECONDS = 8;

export class Fleet {
  learner: ScriptedLearner;
  /** Sent and not settled, by request. */
  sent = new Map<number, { readonly parcel: Parcel; readonly actor: string }>();
  readonly everGranted = new Map<number, RolloutRequest>();
  private readonly actors: Actor[];
  private store: Store;
  private dispatch: Dispatch;
  private lease = "";
  private ms = 0;
  private newestPublished = -1;
  private incarnations = 0;

  constructor(
    private readonly options: FleetOptions,
    private readonly random: Random,
    private readonly path: string,
  ) {
    this.store = Store.open(path);
    this.dispatch = this.newDispatch();
    this.learner = this.newLearner();
    this.actors = Array.from({ length: options.seats }, (_, seat) => ({
      ...{ name: `actor-${seat}`, seat, lease: "", heard: 0, collecting: [], giveBack: [], lives: 0 },
    }));
    for (const actor of this.actors) this.register(actor);
  }

  get books() {
    return new BookReader(this.store).read(this.dispatch.run.now);
  }

  get newestVersion(): number {
    return this.dispatch.run.now.policyVersion;
  }

  /** One thing that can happen happens, `fault` before it. */
  step(fault: () => void = () => undefined): void {
    fault();
    const { random } = this;
    const actor = this.actors[random.integer(this.actors.length)]!;
    const moves: (() => void)[] = [
      () => this.ask(actor),
      () => this.collect(actor),
      () => this.deliver(),
      () => this.learn(),
      () => this.report(),
    ];
    moves[random.integer(moves.length)]!();
    this.pass(0.05);
    this.check();
  }

  pass(seconds: number): void {
    this.ms += 1000 * seconds;
    const { leases } = this.dispatch;
    // Everybody who lives is heard of.
    for (const { lease } of this.actors) leases.renew(lease);
    leases.renew(this.lease);
    this.tick();
  }

  /** An actor dies with what it was collecting and, without a broker, with what it had sent. Another comes. */
  killActor(): void {
    const actor = this.actors[this.random.integer(this.actors.length)]!;
    actor.collecting = [];
    actor.giveBack = [];
    actor.heard = 0;
    actor.lives++;
    if (!this.options.broker) {
      for (const [id, { actor: sender }] of this.sent) if (sender === actor.name) this.sent.delete(id);
    }
    this.register(actor);
  }

  /** An actor is not heard of for longer than its lease; it goes on collecting and delivers later. */
  silenceActor(): void {
    const actor = this.actors[this.random.integer(this.actors.length)]!;
    this.ms += 1000 * (LEASE_SECONDS + 1);
    const { leases } = this.dispatch;
    for (const { lease } of this.actors) if (lease !== actor.lease) leases.renew(lease);
    leases.renew(this.lease);
    this.tick();
    this.register(actor);
  }

  /** Whatever it had not written down is gone. */
  killCoordinator(): void {
    this.store.close();
    this.store = Store.open(this.path);
    this.dispatch = this.newDispatch();
    this.registerLearner();
  }

  /** The learner dies; another goes on from the checkpoint, or from the beginning. Senders send to it again. */
  killLearner(): void {
    this.learner = this.newLearner(this.random.uniform() < 0.1 ? undefined : this.learner);
  }

  saveCheckpoint(): void {
    this.learner.save();
  }

  /** No more work is granted; what is under way ends. */
  drain(): void {
    for (let round = 0; round < 3; round++) {
      for (const actor of this.actors) this.ask(actor, false);
      for (const actor of this.actors) while (actor.collecting.length > 0) this.collect(actor);
      for (const { parcel } of this.sent.values()) this.learner.deliver(parcel);
      while (this.learner.train());
      for (let k = 0; k < 3; k++) this.report(false);
      this.learner.save();
    }
    this.report(false);
    // What nobody delivers again is given up.
    this.pass(RECONNECT_SECONDS);
    this.check();
  }

  close(): void {
    this.store.close();
  }

  /** `more`: what is new as well, not only what the seat has not heard of. */
  private ask(actor: Actor, more = true): void {
    const { dispatch } = this;
    const lease = dispatch.leases.renew(actor.lease);
    if (lease === null) return this.register(actor);
    const capacity = more ? 1 + this.random.integer(3) : 1000;
    const failed = actor.giveBack;
    const request = { leaseId: lease.id, seat: actor.seat, capacity, lastRequestId: actor.heard, failed };
    const granted = this.store.transaction(() => {
      dispatch.giveBack(lease, failed);
      return dispatch.offer(lease, request, more);
    });
    for (const each of granted) {
      expect(this.everGranted.get(each.requestId) ?? each).toEqual(each);
      this.everGranted.set(each.requestId, each);
    }
    // The reply may be lost.
    if (more && this.random.uniform() < 0.1) return;
    actor.giveBack = [];
    for (const each of granted) {
      expect(each.requestId).toBeGreaterThan(actor.heard);
      actor.heard = each.requestId;
      actor.collecting.push(each);
    }
  }

  private collect(actor: Actor): void {
    const request = actor.collecting.shift();
    if (request === undefined) return;
    const { requestId } = request;
    if (this.random.uniform() < 0.02) {
      actor.giveBack.push({ requestId, reason: "environment" });
      return;
    }
    const { fragmentSteps, groupSize } = this.options;
    const steps = groupSize === null ? fragmentSteps : 1 + this.random.integer(2 * fragmentSteps);
    const newer = request.exact ? 0 : this.random.integer(this.learner.version - request.policyVersion + 1);
    const version = request.policyVersion + Math.max(0, newer);
    const refused = this.random.uniform() < 0.01;
    this.sent.set(requestId, { parcel: { request, steps, version, refused }, actor: actor.name });
  }

  /** Any of what is sent and not settled, whether it was delivered before or not. */
  private deliver(): void {
    const all = [...this.sent.values()];
    if (all.length > 0) this.learner.deliver(all[this.random.integer(all.length)]!.parcel);
  }

  private learn(): void {
    if (!this.learner.train()) return;
    this.publish();
    if (this.random.uniform() < 0.3) this.learner.save();
  }

  private report(mayBeLost = true): void {
    const report = this.learner.report();
    if (this.dispatch.leases.renew(this.lease) === null) this.registerLearner();
    const times = mayBeLost && this.random.uniform() < 0.1 ? 2 : 1;
    for (let k = 0; k < times; k++) {
      this.store.transaction(() => this.dispatch.report({ leaseId: this.lease, ...report }));
    }
    if (mayBeLost && this.random.uniform() < 0.1) return;
    this.learner.confirm(report, this.dispatch.work.voidedGroups());
  }

  private publish(): void {
    const { version } = this.learner;
    expect(version).toBeGreaterThanOrEqual(this.newestPublished);
    this.newestPublished = version;
    this.dispatch.run.set({ publishedVersion: version });
  }

  private tick(): void {
    const { leases } = this.dispatch;
    for (const lease of leases.overdue()) {
      this.store.transaction(() => {
        leases.remove(lease.id);
        this.dispatch.release(lease);
      });
    }
    this.store.transaction(() => {
      this.dispatch.sweep();
      this.dispatch.work.tick();
    });
  }

  /** A process that died has another name's place; a living one keeps what it collects. */
  private register(actor: Actor): void {
    const rest = { index: actor.seat, dataAddress: "", policyVersion: 0 };
    const request = { role: "actor", name: actor.name, incarnation: `${actor.lives}`, ...rest } as const;
    actor.lease = this.store.transaction(() => this.dispatch.register(request)).lease.id;
  }

  private registerLearner(): void {
    const { incarnation, version } = this.learner;
    expect(this.takeOver(incarnation, version)).toBe(version);
  }

  private takeOver(incarnation: string, policyVersion: number): number {
    const rest = { index: null, dataAddress: "learner:1", policyVersion };
    const request = { role: "learner", name: "learner", incarnation, ...rest } as const;
    this.lease = this.store.transaction(() => this.dispatch.register(request)).lease.id;
    return this.dispatch.run.now.policyVersion;
  }

  private newLearner(before?: ScriptedLearner): ScriptedLearner {
    const from = before?.checkpoint ?? ScriptedLearner.nothing;
    const incarnation = `learner-${++this.incarnations}`;
    const goOnAs = this.takeOver(incarnation, from.version);
    const settle = (requestId: number): void => void this.sent.delete(requestId);
    this.learner = new ScriptedLearner(this.options, from, goOnAs, incarnation, settle);
    this.publish();
    return this.learner;
  }

  private newDispatch(): Dispatch {
    const { batchSteps, fragmentSteps, maxPolicyLag, deterministic, groupSize, seats, ack } = this.options;
    const groups = { size: groupSize, tasks: 3, deadlineSeconds: 30, maxAttempts: 3 };
    const config = parseRunConfig(
      {
        environment: { id: "CartPole-v1" },
        recipe: { params: { batchSteps } },
        actors: { processes: seats, environments: 1, fragmentSteps },
        staleness: { maxPolicyLag },
        transport: { reconnectSeconds: RECONNECT_SECONDS },
        learner: { ack },
        coordinator: { leaseSeconds: LEASE_SECONDS, quarantineAfter: 1_000_000 },
        deterministic,
        ...(groupSize === null ? {} : { groups }),
      },
      "test",
    );
    const events = { onSealed: () => undefined, onVoid: () => undefined };
    return new Dispatch({ config, store: this.store, method: {}, events, now: () => this.ms });
  }

  private check(): void {
    expect(imbalanceOf(this.books)).toEqual({ rollouts: 0, steps: 0 });
    const keys = this.learner.trained.map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
    const { groupSize } = this.options;
    if (groupSize === null) return;
    const members = new Map<number, number>();
    for (const { group } of this.learner.trained) members.set(group, (members.get(group) ?? 0) + 1);
    expect([...members.values()].filter((count) => count !== groupSize)).toEqual([]);
  }
}
