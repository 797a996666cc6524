/** Who is alive: leases renewed by heartbeats. An actor that registers its name again replaces its earlier self. */
import { randomUUID } from "node:crypto";
import { SkeinError } from "../../core/errors.js";
import type { ActorStatus, Role } from "../../core/transport/transport.js";

export interface Lease {
  readonly id: string;
  readonly role: Role;
  readonly name: string;
  /** Place in the fleet; −1 for learners. */
  readonly index: number;
  /** Newest version the holder uses; −1 before its first heartbeat. */
  appliedVersion: number;
  lastSeen: number;
}

export class Leases {
  private readonly byId = new Map<string, Lease>();

  /** `now` in milliseconds of any steady clock. */
  constructor(
    private readonly leaseSeconds: number,
    private readonly now: () => number,
  ) {}

  /**
   * Also returns the leases it replaces: those of the same name, and a learner's predecessor. Throws REFUSED where
   * the place asked for is held by a living actor of another name: two on one place would take each other's work.
   */
  add(
    role: Role,
    name: string,
    index: number | null,
  ): { readonly lease: Lease; readonly replaced: readonly Lease[] } {
    const living = [...this.byId.values()].filter((lease) => lease.role === role);
    const holder = living.find((lease) => role === "actor" && lease.index === index && lease.name !== name);
    if (holder !== undefined) {
      throw new SkeinError(
        "REFUSED",
        `register ${name}: place ${holder.index} in the fleet is held by ${holder.name}; ` +
          "give every actor an --index of its own, or none",
      );
    }
    const replaced = living.filter((lease) => lease.name === name || role === "learner");
    for (const lease of replaced) this.byId.delete(lease.id);
    const place = role === "learner" ? -1 : (index ?? this.freeIndex());
    const lease: Lease = {
      id: randomUUID(),
      role,
      name,
      index: place,
      appliedVersion: -1,
      lastSeen: this.now(),
    };
    this.byId.set(lease.id, lease);
    return { lease, replaced };
  }

  /** The living lease of that id, renewed; null where it is gone. */
  renew(id: string): Lease | null {
    const lease = this.byId.get(id) ?? null;
    if (lease !== null) lease.lastSeen = this.now();
    return lease;
  }

  remove(id: string): Lease | null {
    const lease = this.byId.get(id) ?? null;
    this.byId.delete(id);
    return lease;
  }

  /** Removes and returns the leases whose time is over. */
  expire(): Lease[] {
    const limit = this.now() - this.leaseSeconds * 1000;
    const dead = [...this.byId.values()].filter((lease) => lease.lastSeen < limit);
    for (const lease of dead) this.byId.delete(lease.id);
    return dead;
  }

  /** Ends the leases of all actors: each registers again and starts over. */
  removeActors(): Lease[] {
    const removed = [...this.byId.values()].filter((lease) => lease.role === "actor");
    for (const lease of removed) this.byId.delete(lease.id);
    return removed;
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

  private freeIndex(): number {
    const taken = new Set([...this.byId.values()].map((lease) => lease.index));
    let index = 0;
    while (taken.has(index)) index++;
    return index;
  }
}
