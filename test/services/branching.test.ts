/** Which states are branched from, and which plans can be played. */
import { describe, expect, it } from "vitest";
import { branchComplaint } from "../../core/branches.js";
import type { BranchPlan } from "../../core/types.js";
import { Branching } from "../../services/actor/branching.js";

const plan = (changes: Partial<BranchPlan> = {}): BranchPlan => ({
  ...{ at: "random", states: 3, count: 2, maxSteps: 0 },
  ...changes,
});

describe("states at random", () => {
  it("are different ones of the episode, each as likely as the others", () => {
    const [length, states, runs] = [11, 3, 4000];
    const counts = new Array<number>(length).fill(0);
    for (let seed = 0; seed < runs; seed++) {
      const branching = new Branching(plan({ states, count: 1 }), seed);
      for (let t = 0; t < length; t++) {
        const slot = branching.slotOf(t);
        if (slot === null) continue;
        branching.keep(slot, { at: t, snapshot: Uint8Array.of(t), memory: new Float32Array(0) });
      }
      const taken = [1, 2, 3].map(() => branching.take()!.state.at);
      expect(branching.take()).toBeNull();
      expect(taken).toEqual([...new Set(taken)].sort((a, b) => a - b));
      for (const t of taken) counts[t]!++;
    }
    const p = states / length;
    // Four standard deviations of a binomial.
    for (const count of counts) {
      expect(Math.abs(count - runs * p)).toBeLessThan(4 * Math.sqrt(runs * p * (1 - p)));
    }
  });

  it("are all of an episode that has no more", () => {
    const branching = new Branching(plan({ states: 5, count: 2 }), 1);
    for (let t = 0; t < 2; t++) {
      branching.keep(branching.slotOf(t)!, { at: t, snapshot: Uint8Array.of(), memory: new Float32Array(0) });
    }
    const taken = Array.from({ length: 4 }, () => branching.take()!);
    expect(taken.map(({ state, number, row }) => [state.at, number, row])).toEqual([
      [0, 0, 1],
      [0, 1, 2],
      [1, 0, 3],
      [1, 1, 4],
    ]);
    expect(branching.take()).toBeNull();
  });
});

describe("a plan of branches", () => {
  it.each([
    [{ states: 0 }, "expected at least one state to branch from, got 0"],
    [{ count: 1.5 }, "expected at least one branch from each state, got 1.5"],
    [{ maxSteps: -1 }, "expected a whole number of steps of a branch, or 0, got -1"],
    [{ at: [3, 3, 5] }, "expected the steps to branch at in rising order, got 3, 3, 5"],
    [{ at: [-1, 3, 5] }, "expected the steps to branch at in rising order, got -1, 3, 5"],
    [{ at: [1, 2] }, "expected as many steps to branch at as states (3), got 2"],
  ])("%o is refused", (changes, complaint) => {
    expect(branchComplaint(plan(changes))).toBe(complaint);
  });

  it("is taken where it can be played", () => {
    expect(branchComplaint(plan())).toBeNull();
    expect(branchComplaint(plan({ at: [0, 2, 9], maxSteps: 7 }))).toBeNull();
  });
});
