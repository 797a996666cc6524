import { describe, expect, it } from "vitest";
import { FilterGate } from "../../services/learner/filter-gate.js";
import { ReadyQueue, type Held, type Unit } from "../../services/learner/ready-queue.js";
import { placeOf } from "../../services/learner/ledger.js";
import { deliveryOf, smallRollout, type SmallRollout } from "./fixture.js";

function held(shape: SmallRollout, groupSize: number | null = null): Held {
  const rollout = smallRollout(shape);
  return {
    ...{ place: placeOf(rollout, groupSize), rollout, delivery: deliveryOf(rollout), taken: false },
    ...{ oldestVersion: 0, arrivalVersion: 0, requestId: rollout.requestId, rows: 1 },
    ...{ steps: rollout.columns.rewards.length, episodeReturn: Number.NaN, episodeLength: Number.NaN },
  };
}

const groupsOf = (batch: readonly Held[] | null): number[] | null =>
  batch?.map(({ rollout }) => rollout.group) ?? null;

describe("a queue of bundles", () => {
  const queueOf = (bundle: number, batchSteps = 10): ReadyQueue =>
    new ReadyQueue({ batchSteps, seats: null, groupSize: 2, bundle });
  /** Groups of two members with `steps` steps each. */
  const fill = (queue: ReadyQueue, groups: readonly number[], steps = 2): void => {
    for (const group of groups) {
      for (const member of [1, 0]) queue.add(held({ task: "task-0", group, member, steps }, 2));
    }
  };

  it("hands out multiples of a bundle, the smallest that has the steps of a batch", () => {
    const queue = queueOf(2);
    // Ten steps are three groups of four; a multiple of two is four groups.
    fill(queue, [1, 2, 3]);
    expect(queue.takeBatch()).toBeNull();
    fill(queue, [4, 5]);
    expect(groupsOf(queue.takeBatch())).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect(queue.takeBatch()).toBeNull();
    fill(queue, [6, 7, 8]);
    expect(groupsOf(queue.takeBatch())).toEqual([5, 5, 6, 6, 7, 7, 8, 8]);
  });

  it("waits for a whole bundle where one group has the steps of a batch", () => {
    const queue = queueOf(3);
    fill(queue, [1, 2], 50);
    expect(queue.takeBatch()).toBeNull();
    fill(queue, [3, 4], 50);
    expect(groupsOf(queue.takeBatch())).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it("hands out no more than needed where a bundle is one group", () => {
    const queue = queueOf(1);
    fill(queue, [1, 2, 3, 4]);
    expect(groupsOf(queue.takeBatch())).toEqual([1, 1, 2, 2, 3, 3]);
    expect(queue.takeBatch()).toBeNull();
  });

  it("counts what was dropped neither as group nor as steps", () => {
    const queue = queueOf(2, 4);
    const units: (Unit | null)[] = [1, 2, 3].flatMap((group) =>
      [0, 1].map((member) => queue.add(held({ task: "task-0", group, member, steps: 2 }, 2))),
    );
    expect(units.map((unit) => unit?.steps ?? null)).toEqual([null, 4, null, 4, null, 4]);
    queue.drop(units[1]!);
    expect(groupsOf(queue.takeBatch())).toEqual([2, 2, 3, 3]);
    expect(queue.takeBatch()).toBeNull();
  });
});

describe("a filter of groups", () => {
  const differ = { reason: "same", keep: (scores: Float64Array) => scores[0] !== scores[1], maxBatches: 2 };
  /** Members with these scores, four steps each; what follows the first row of a member are branches. */
  function unit(scores: readonly number[], branches: readonly number[] = []): Unit {
    const members = scores.map((score, member) => {
      const one = held({ group: 1, member, steps: 4 + branches.length }, scores.length);
      one.rollout.columns.rewards.set([score / 2, 0, score / 2, 0, ...branches]);
      const columns = {
        ...one.rollout.columns,
        offsets: Uint32Array.of(0, 4, ...branches.map((_, k) => 5 + k)),
      };
      return { ...one, rollout: { ...one.rollout, columns } };
    });
    return { held: members, steps: members.reduce((sum, { steps }) => sum + steps, 0), oldestVersion: 0 };
  }
  const notices: string[] = [];
  const gateOf = (batchSteps: number): FilterGate => {
    notices.length = 0;
    return new FilterGate(differ, batchSteps, (message) => notices.push(message));
  };

  it("is asked with the members' scores", () => {
    const gate = gateOf(1000);
    expect([unit([1, 1]), unit([1, 2]), unit([0, -1])].map((one) => gate.admits(one))).toEqual([
      false,
      true,
      true,
    ]);
    expect(gate.reason).toBe("same");
    expect(notices).toEqual([]);
  });

  it("looks at episodes alone, not at their branches", () => {
    const branched = unit([1, 1], [0, 5]);
    branched.held[0]!.rollout.columns.rewards[5] = 7;
    expect(gateOf(1000).admits(branched)).toBe(false);
  });

  it("lets everything in for one batch once two batches' worth of steps were kept out, and says so", () => {
    const gate = gateOf(8);
    // Eight steps each: the second makes sixteen.
    const same = [unit([0, 0]), unit([0, 0]), unit([0, 0])];
    expect(same.map((one) => gate.admits(one))).toEqual([false, true, true]);
    expect(notices).toEqual([
      "no batch after 16 filtered steps (same): groups enter the next one as they are",
    ]);
    gate.batchBegins();
    expect(same.map((one) => gate.admits(one))).toEqual([false, true, true]);
    expect(notices).toHaveLength(2);
  });

  it("begins to count anew with every batch", () => {
    const gate = gateOf(8);
    for (let k = 0; k < 5; k++) {
      expect(gate.admits(unit([0, 0]))).toBe(false);
      gate.batchBegins();
    }
    expect(notices).toEqual([]);
  });
});
