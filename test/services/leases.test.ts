import { describe, expect, it } from "vitest";
import { Leases, type Lease } from "../../services/coordinator/leases.js";
import { Store } from "../../services/coordinator/store.js";
import type { Role } from "../../core/transport/transport.js";

class Clock {
  ms = 1_000;
  readonly now = (): number => this.ms;
}

class Place {
  readonly clock = new Clock();
  readonly store = Store.open(null);
  all: Leases;

  constructor(private readonly leaseSeconds = 5) {
    this.all = this.begin();
  }

  /** A new life on the same books. */
  begin(): Leases {
    return (this.all = new Leases(this.store, this.leaseSeconds, this.clock.now));
  }

  add(role: Role, name: string, index: number | null): { lease: Lease; replaced: readonly Lease[] } {
    const rest = { dataAddress: "", incarnation: "", policyVersion: 0 };
    return this.all.add({ role, name, index, ...rest });
  }
}

describe("leases", () => {
  it("expire once nothing was heard for leaseSeconds, and not a moment sooner", () => {
    const place = new Place(5);
    const { lease } = place.add("actor", "a", null);
    place.clock.ms += 5_000;
    expect(place.all.overdue()).toEqual([]);
    place.clock.ms += 1;
    expect(place.all.overdue()).toEqual([lease]);
    place.all.remove(lease.id);
    expect(place.all.overdue()).toEqual([]);
    expect(place.all.renew(lease.id)).toBeNull();
  });

  it("live on from their last renewal", () => {
    const place = new Place(5);
    const { lease } = place.add("actor", "a", null);
    for (let k = 0; k < 10; k++) {
      place.clock.ms += 4_000;
      expect(place.all.overdue()).toEqual([]);
      expect(place.all.renew(lease.id)).toBe(lease);
    }
  });

  it("give each actor the lowest free place, and a freed one again", () => {
    const place = new Place();
    const [a, b, c] = ["a", "b", "c"].map((name) => place.add("actor", name, null).lease);
    expect([a!.index, b!.index, c!.index]).toEqual([0, 1, 2]);
    place.all.remove(b!.id);
    expect(place.add("actor", "d", null).lease.index).toBe(1);
    expect(place.add("actor", "e", null).lease.index).toBe(3);
  });

  it("keep the place asked for out of what is given away", () => {
    const place = new Place();
    expect(place.add("actor", "a", 1).lease.index).toBe(1);
    expect(place.add("actor", "b", null).lease.index).toBe(0);
    expect(place.add("actor", "c", null).lease.index).toBe(2);
  });

  it("replace an earlier actor of the same name, and nobody else", () => {
    const place = new Place();
    const byName = place.add("actor", "a", 0).lease;
    const other = place.add("actor", "c", 2).lease;
    const { lease, replaced } = place.add("actor", "a", 1);
    expect(replaced).toEqual([byName]);
    expect(place.all.renew(byName.id)).toBeNull();
    expect(place.all.actors().map(({ name, index }) => [name, index])).toEqual([
      ["a", 1],
      ["c", 2],
    ]);
    expect(place.all.renew(lease.id)).toBe(lease);
    expect(place.all.renew(other.id)).toBe(other);
  });

  it("refuse a place that a living actor of another name holds, and leave that one be", () => {
    const place = new Place();
    const holder = place.add("actor", "a", 1).lease;
    expect(() => place.add("actor", "b", 1)).toThrow(/place 1 in the fleet is held by a/);
    expect(place.all.renew(holder.id)).toBe(holder);
    expect(place.all.actors()).toHaveLength(1);
  });

  it("know one learner at a time, which takes no actor's place", () => {
    const place = new Place();
    const actor = place.add("actor", "learner", null).lease;
    const first = place.add("learner", "learner", null).lease;
    const { replaced } = place.add("learner", "another", null);
    expect(replaced).toEqual([first]);
    expect(actor.index).toBe(0);
    expect(place.add("actor", "b", null).lease.index).toBe(1);
    expect(place.all.actors().map(({ name }) => name)).toEqual(["learner", "b"]);
  });

  it("outlive the coordinator, each with its whole time anew, but for the learner's", () => {
    const place = new Place(5);
    const actors = ["a", "b", "c"].map((name) => place.add("actor", name, null).lease);
    const learner = place.add("learner", "learner", null).lease;
    place.all.remove(actors[1]!.id);
    place.clock.ms += 4_900;
    place.begin();
    place.clock.ms += 4_900;
    expect(place.all.overdue()).toEqual([]);
    expect(place.all.find(actors[0]!.id)).toMatchObject({ name: "a", index: 0 });
    expect(place.all.find(actors[1]!.id)).toBeNull();
    expect(place.all.find(learner.id)).toBeNull();
    place.clock.ms += 101;
    expect(place.all.overdue().map(({ name }) => name)).toEqual(["a", "c", "learner"]);
    expect(place.add("actor", "d", null).lease.index).toBe(1);
  });

  it("come to nothing with the transaction that they were given in", () => {
    const place = new Place();
    const kept = place.add("actor", "kept", null).lease;
    const attempt = (): void =>
      place.store.transaction(() => {
        place.add("actor", "lost", null);
        place.all.remove(kept.id);
        throw new Error("the disk is full");
      });
    expect(attempt).toThrow("the disk is full");
    expect(place.all.find(kept.id)).toEqual(kept);
    expect(place.all.actors().map(({ name }) => name)).toEqual(["kept"]);
    expect(place.add("actor", "next", null).lease.index).toBe(1);
  });

  it("tell how long ago each actor was heard of", () => {
    const place = new Place();
    const { lease } = place.add("actor", "a", null);
    place.clock.ms += 1_500;
    expect(place.all.actors()).toEqual([{ name: "a", index: 0, appliedVersion: -1, secondsSinceSeen: 1.5 }]);
    place.all.renew(lease.id);
    expect(place.all.actors()[0]!.secondsSinceSeen).toBe(0);
  });
});
