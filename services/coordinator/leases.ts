/**
 * Who is alive: leases renewed by heartbeats. An actor that registers its name again replaces its earlier self.
 *
 * Who has a lease is in the books, so leases outlive the coordinator; when each was last heard of is not, so after a
 * restart everybody has `leaseSeconds` anew. Always: a call costs the same however many leases there are.
 */
import { randomUUID } from "node:crypto";
import { SkeinError } from "../../core/errors.js";
import type { ActorStatus, RegisterRequest, Role, RunningRequest } from "../../core/transport/transport.js";
import type { Statement, Store } from "./store.js";

export interface Lease {
  readonly id: string;
  readonly role: Role;
  readonly name: string;
  /** Place in the fleet; −1 for learners. */
  readonly index: number;
  /** Newest version the holder uses; −1 before its first heartbeat. */
  appliedVersion: number;
  appliedHash: string;
  /** Steps so far of the requests that it works on. */
  running: readonly RunningRequest[];
  lastSeen: number;
}

type Row = Pick<Lease, "id" | "role" | "name" | "index" | "appliedVersion" | "appliedHash">;

export class Leases {
  private byId = new Map<string, Lease>();
  private readonly idOfActor = new Map<string, string>();
  private readonly idAtPlace = new Map<number, string>();
  private learner: string | null = null;
  /** Every place below it is taken. */
  private lowestFree = 0;
  private readonly read: Statement<Row>;
  private readonly write: Statement<never>;
  private readonly end: Statement<never>;
  private readonly touch: Statement<never>;
  private readonly refuse: Statement<{ readonly refusals: number }>;
  private readonly shut: Statement<never>;
  private readonly isShut: Statement<unknown>;
  private readonly countShut: Statement<{ readonly count: number }>;

  /** `now` in milliseconds of any steady clock. */
  constructor(
    private readonly store: Store,
    private readonly leaseSeconds: number,
    private readonly now: () => number,
  ) {
    this.read = store.prepare(
      'SELECT leaseId AS id, role, name, place AS "index", appliedVersion, appliedHash ' +
        "FROM services WHERE leaseId IS NOT NULL",
    );
    this.write = store.prepare(
      "INSERT INTO services (role, name, leaseId, place, lastSeenUnixMs) VALUES (?, ?, ?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET leaseId = excluded.leaseId, place = excluded.place, " +
        "lastSeenUnixMs = excluded.lastSeenUnixMs, appliedVersion = -1, appliedHash = ''",
    );
    this.end = store.prepare(
      "UPDATE services SET leaseId = NULL WHERE role = ? AND name = ? AND leaseId = ?",
    );
    this.touch = store.prepare(
      "UPDATE services SET appliedVersion = ?, appliedHash = ?, lastSeenUnixMs = ? WHERE role = ? AND name = ?",
    );
    this.refuse = store.prepare(
      "UPDATE services SET refusals = refusals + 1 WHERE role = 'actor' AND name = ? RETURNING refusals",
    );
    this.shut = store.prepare("UPDATE services SET quarantined = 1 WHERE role = 'actor' AND name = ?");
    this.isShut = store.prepare(
      "SELECT 1 FROM services WHERE role = 'actor' AND name = ? AND quarantined = 1",
    );
    this.countShut = store.prepare("SELECT COUNT(*) AS count FROM services WHERE quarantined = 1");
    // The learner has to register again, which makes it publish its weights: those are nowhere else now.
    store
      .prepare("UPDATE services SET leaseId = ? WHERE role = 'learner' AND leaseId IS NOT NULL")
      .run(randomUUID());
    this.restore();
    store.onRollback(() => this.restore());
  }

  /**
   * Also returns the leases it replaces: those of the same name, and a learner's predecessor. Throws REFUSED where
   * the place asked for is held by a living actor of another name: two on one place would take each other's work;
   * and where the name is in quarantine.
   */
  add({ role, name, index }: RegisterRequest): {
    readonly lease: Lease;
    readonly replaced: readonly Lease[];
  } {
    if (role === "actor") this.expectWelcome(name, index);
    const earlier = role === "learner" ? this.learner : (this.idOfActor.get(name) ?? null);
    const replaced = earlier === null ? null : this.remove(earlier);
    const lease: Lease = {
      id: randomUUID(),
      role,
      name,
      index: role === "learner" ? -1 : (index ?? this.freeIndex()),
      appliedVersion: -1,
      appliedHash: "",
      running: [],
      lastSeen: this.now(),
    };
    this.write.run(role, name, lease.id, lease.index, Date.now());
    this.remember(lease);
    return { lease, replaced: replaced === null ? [] : [replaced] };
  }

  /** The living lease of that id; null where it is gone. */
  find(id: string): Lease | null {
    return this.byId.get(id) ?? null;
  }

  /** The same, heard of just now. */
  renew(id: string): Lease | null {
    const lease = this.find(id);
    if (lease !== null) lease.lastSeen = this.now();
    return lease;
  }

  remove(id: string): Lease | null {
    const lease = this.find(id);
    if (lease === null) return null;
    this.writeSeen(lease);
    this.end.run(lease.role, lease.name, lease.id);
    this.forget(lease);
    return lease;
  }

  /** Those whose time is over. */
  overdue(): Lease[] {
    const limit = this.now() - this.leaseSeconds * 1000;
    return [...this.byId.values()].filter((lease) => lease.lastSeen < limit);
  }

  /** The actor delivered what was refused; returns how often it has. */
  countRefusal(name: string): number {
    return this.refuse.get(name)?.refusals ?? 0;
  }

  /** No actor of that name is taken in any more. Returns the lease it had. */
  quarantine(name: string): Lease | null {
    this.shut.run(name);
    const id = this.idOfActor.get(name);
    return id === undefined ? null : this.remove(id);
  }

  get quarantined(): number {
    return this.countShut.get()!.count;
  }

  get actorCount(): number {
    return this.idOfActor.size;
  }

  actors(): ActorStatus[] {
    return [...this.byId.values()]
      .filter((lease) => lease.role === "actor")
      .sort((a, b) => a.index - b.index)
      .map(({ name, index, appliedVersion, lastSeen }) => ({
        name,
        index,
        appliedVersion,
        secondsSinceSeen: (this.now() - lastSeen) / 1000,
      }));
  }

  /** Writes down who was last heard of when, for people who read the books. */
  flush(): void {
    this.store.transaction(() => {
      for (const lease of this.byId.values()) this.writeSeen(lease);
    });
  }

  private writeSeen({ role, name, appliedVersion, appliedHash, lastSeen }: Lease): void {
    const seen = Math.round(Date.now() - (this.now() - lastSeen));
    this.touch.run(appliedVersion, appliedHash, seen, role, name);
  }

  private expectWelcome(name: string, index: number | null): void {
    if (this.isShut.get(name) !== undefined) {
      throw new SkeinError(
        "REFUSED",
        `register ${name}: this actor is shut out of the run because its rollouts were refused; ` +
          "see the learner's log for why, and mend its environment or its version",
      );
    }
    const holder = index === null ? undefined : this.idAtPlace.get(index);
    const held = holder === undefined ? null : this.find(holder);
    if (held === null || held.name === name) return;
    throw new SkeinError(
      "REFUSED",
      `register ${name}: place ${held.index} in the fleet is held by ${held.name}; ` +
        "give every actor an --index of its own, or none",
    );
  }

  private restore(): void {
    const before = this.byId;
    this.byId = new Map();
    this.idOfActor.clear();
    this.idAtPlace.clear();
    this.learner = null;
    this.lowestFree = 0;
    for (const { id, role, name, index, appliedVersion, appliedHash } of this.read.all()) {
      const row = { id, role, name, index, appliedVersion, appliedHash };
      this.remember(before.get(id) ?? { ...row, running: [], lastSeen: this.now() });
    }
  }

  private remember(lease: Lease): void {
    this.byId.set(lease.id, lease);
    if (lease.role === "learner") {
      this.learner = lease.id;
      return;
    }
    this.idOfActor.set(lease.name, lease.id);
    this.idAtPlace.set(lease.index, lease.id);
  }

  private forget(lease: Lease): void {
    this.byId.delete(lease.id);
    if (this.learner === lease.id) this.learner = null;
    if (lease.role === "learner") return;
    this.idOfActor.delete(lease.name);
    this.idAtPlace.delete(lease.index);
    this.lowestFree = Math.min(this.lowestFree, lease.index);
  }

  private freeIndex(): number {
    while (this.idAtPlace.has(this.lowestFree)) this.lowestFree++;
    return this.lowestFree;
  }
}
