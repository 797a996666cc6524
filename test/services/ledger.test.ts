import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { IntervalSet } from "../../services/learner/interval-set.js";
import { Ledger, placeOf } from "../../services/learner/ledger.js";

/** Runs of neighbours in a plain set, found by looking at every number. */
function runsOf(numbers: ReadonlySet<number>): [number, number][] {
  const runs: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs;
}

describe("a set of intervals", () => {
  it("holds what a plain set holds, as few intervals, whatever the order", () => {
    for (let seed = 0; seed < 25; seed++) {
      const random = new Random(seed);
      const range = 1 + random.integer(120);
      let set = new IntervalSet();
      const plain = new Set<number>();
      for (let k = 0; k < 150; k++) {
        const value = random.integer(range);
        expect(set.has(value)).toBe(plain.has(value));
        set.add(value);
        plain.add(value);
        if (k % 10 === 9) expect(set.intervals).toEqual(runsOf(plain));
        if (random.uniform() < 0.05) set = new IntervalSet(set.intervals);
      }
      for (let value = -1; value <= range; value++) expect(set.has(value)).toBe(plain.has(value));
    }
  });

  it("is one interval for numbers in order, however many", () => {
    const set = new IntervalSet();
    for (let value = 1; value <= 100_000; value++) set.add(value);
    expect(set.intervals).toEqual([[1, 100_000]]);
  });
});

describe("a ledger", () => {
  it("knows each settled key and the attempt that settled it, through any number of checkpoints", () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const groupSize = random.uniform() < 0.5 ? null : 1 + random.integer(4);
      const works = Array.from({ length: 120 }, () => {
        const group = random.integer(30);
        return groupSize === null
          ? { task: `seat-${random.integer(3)}`, group, member: 0 }
          : { task: "task-7", group, member: random.integer(groupSize) };
      });
      let ledger = new Ledger();
      const plain = new Map<string, number>();
      for (const work of works) {
        const key = JSON.stringify(work);
        expect(ledger.settledBy(placeOf(work, groupSize))).toBe(plain.get(key) ?? null);
        if (!plain.has(key)) {
          const attempt = random.uniform() < 0.7 ? 1 : 2 + random.integer(3);
          ledger.settle(placeOf(work, groupSize), attempt);
          plain.set(key, attempt);
        }
        if (random.uniform() < 0.1) {
          const state = ledger.state;
          ledger = new Ledger(JSON.parse(JSON.stringify(state)) as typeof state);
          expect(ledger.state).toEqual(state);
        }
      }
      for (const work of works) {
        expect(ledger.settledBy(placeOf(work, groupSize))).toBe(plain.get(JSON.stringify(work)));
      }
    }
  });

  it("gives the same state, byte for byte, whatever the order in which streams came about", () => {
    const settled = [
      ["seat-0", 1, 1],
      ["seat-1", 1, 3],
      ["seat-1", 2, 1],
      ["seat-0", 5, 2],
      ["seat-0", 4, 2],
    ] as const;
    const states = [settled, [...settled].reverse()].map((order) => {
      const ledger = new Ledger();
      for (const [stream, number, attempt] of order) ledger.settle({ stream, number }, attempt);
      return JSON.stringify(ledger.state);
    });
    expect(states[0]).toBe(states[1]);
    expect((JSON.parse(states[0]!) as { laterAttempts: unknown }).laterAttempts).toEqual([
      ["seat-0", 4, 2],
      ["seat-0", 5, 2],
      ["seat-1", 1, 3],
    ]);
  });

  it("counts rollouts and steps by what became of them", () => {
    const ledger = new Ledger();
    ledger.count("trained", "", 10);
    ledger.count("stale", "", 4);
    ledger.count("failed", "duplicate", 3);
    ledger.count("failed", "duplicate", 2);
    ledger.count("failed", "refused", 1);
    ledger.count("filtered", "voidedGroup", 7);
    expect(ledger.counts).toEqual({
      trained: { rollouts: 1, steps: 10 },
      stale: { rollouts: 1, steps: 4 },
      filtered: { voidedGroup: { rollouts: 1, steps: 7 } },
      failed: { duplicate: { rollouts: 2, steps: 5 }, refused: { rollouts: 1, steps: 1 } },
    });
    expect(ledger.total).toEqual({ rollouts: 6, steps: 27 });
    expect(new Ledger(ledger.state).counts).toEqual(ledger.counts);
  });
});
