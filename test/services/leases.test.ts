import { describe, expect, it } from "vitest";
import { Leases } from "../../services/coordinator/leases.js";

class Clock {
  ms = 1_000;
  readonly now = (): number => this.ms;
}

function leases(leaseSeconds = 5): { readonly leases: Leases; readonly clock: Clock } {
  const clock = new Clock();
  return { leases: new Leases(leaseSeconds, clock.now), clock };
}

describe("leases", () => {
  it("expire once nothing was heard for leaseSeconds, and not a moment sooner", () => {
    const { leases: all, clock } = leases(5);
    const { lease } = all.add("actor", "a", null);
    clock.ms += 5_000;
    expect(all.expire()).toEqual([]);
    clock.ms += 1;
    expect(all.expire()).toEqual([lease]);
    expect(all.expire()).toEqual([]);
    expect(all.renew(lease.id)).toBeNull();
  });

  it("live on from their last renewal", () => {
    const { leases: all, clock } = leases(5);
    const { lease } = all.add("actor", "a", null);
    for (let k = 0; k < 10; k++) {
      clock.ms += 4_000;
      expect(all.expire()).toEqual([]);
      expect(all.renew(lease.id)).toBe(lease);
    }
  });

  it("give each actor the lowest free place, and a freed one again", () => {
    const { leases: all } = leases();
    const [a, b, c] = ["a", "b", "c"].map((name) => all.add("actor", name, null).lease);
    expect([a!.index, b!.index, c!.index]).toEqual([0, 1, 2]);
    all.remove(b!.id);
    expect(all.add("actor", "d", null).lease.index).toBe(1);
    expect(all.add("actor", "e", null).lease.index).toBe(3);
  });

  it("keep the place asked for out of what is given away", () => {
    const { leases: all } = leases();
    expect(all.add("actor", "a", 1).lease.index).toBe(1);
    expect(all.add("actor", "b", null).lease.index).toBe(0);
    expect(all.add("actor", "c", null).lease.index).toBe(2);
  });

  it("replace an earlier actor of the same name, and nobody else", () => {
    const { leases: all } = leases();
    const byName = all.add("actor", "a", 0).lease;
    const other = all.add("actor", "c", 2).lease;
    const { lease, replaced } = all.add("actor", "a", 1);
    expect(replaced).toEqual([byName]);
    expect(all.renew(byName.id)).toBeNull();
    expect(all.actors().map(({ name, index }) => [name, index])).toEqual([
      ["a", 1],
      ["c", 2],
    ]);
    expect(all.renew(lease.id)).toBe(lease);
    expect(all.renew(other.id)).toBe(other);
  });

  it("refuse a place that a living actor of another name holds, and leave that one be", () => {
    const { leases: all } = leases();
    const holder = all.add("actor", "a", 1).lease;
    expect(() => all.add("actor", "b", 1)).toThrow(/place 1 in the fleet is held by a/);
    expect(all.renew(holder.id)).toBe(holder);
    expect(all.actors()).toHaveLength(1);
  });

  it("know one learner at a time, which takes no actor's place", () => {
    const { leases: all } = leases();
    const actor = all.add("actor", "learner", null).lease;
    const first = all.add("learner", "learner", null).lease;
    const { replaced } = all.add("learner", "another", null);
    expect(replaced).toEqual([first]);
    expect(actor.index).toBe(0);
    expect(all.add("actor", "b", null).lease.index).toBe(1);
    expect(all.actors().map(({ name }) => name)).toEqual(["learner", "b"]);
  });

  it("end for all actors at once, the learner's excepted", () => {
    const { leases: all } = leases();
    const actors = ["a", "b"].map((name) => all.add("actor", name, null).lease);
    const learner = all.add("learner", "l", null).lease;
    expect(all.removeActors()).toEqual(actors);
    expect(all.actors()).toEqual([]);
    expect(all.renew(learner.id)).toBe(learner);
  });

  it("tell how long ago each actor was heard of", () => {
    const { leases: all, clock } = leases();
    const { lease } = all.add("actor", "a", null);
    clock.ms += 1_500;
    expect(all.actors()).toEqual([{ name: "a", index: 0, appliedVersion: -1, secondsSinceSeen: 1.5 }]);
    all.renew(lease.id);
    expect(all.actors()[0]!.secondsSinceSeen).toBe(0);
  });
});
