import { contextOf } from "./fixture.js";
import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import type { Batch } from "../../core/slots/batch.js";
import { returnScaleTracker, scaleRewards } from "../../core/recipes/parts/return-scale.js";

const GAMMA = 0.9;

interface RowSpec {
  readonly trajectory: number;
  readonly rewards: readonly number[];
  readonly end?: "terminated" | "truncated";
  readonly mask?: readonly number[];
}

function batchOf(rows: readonly RowSpec[]): Batch {
  const rewards = rows.flatMap((row) => row.rewards);
  const offsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => (offsets[i + 1] = offsets[i]! + row.rewards.length));
  return {
    offsets,
    mask: Uint8Array.from(rows.flatMap((row) => row.mask ?? row.rewards.map(() => 1))),
    terminated: Uint8Array.from(rows, (row) => (row.end === "terminated" ? 1 : 0)),
    inputs: {
      steps: rewards.length,
      observations: new Float32Array(rewards.length),
      actions: null,
      actionMasks: null,
    },
    initialStates: new Float32Array(0),
    finalObservations: new Float32Array(rows.length),
    step: { rewards: Float64Array.from(rewards) },
    row: {
      trajectory: Float64Array.from(rows, (row) => row.trajectory),
      truncated: Float64Array.from(rows, (row) => (row.end === "truncated" ? 1 : 0)),
    },
  };
}

/** n−1 standard deviation; 1 where there is none. */
function spread(xs: readonly number[]): number {
  if (xs.length < 2) return 1;
  const mean = xs.reduce((a, b) => a + b, 0) / xs.length;
  return Math.sqrt(xs.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (xs.length - 1));
}

/** Batches of rows that cut a few running trajectories at random places, and the rewards of each trajectory so far. */
function* story(
  random: Random,
  batches: number,
): Generator<{ batch: Batch; trajectories: Map<number, number[]> }> {
  const trajectories = new Map<number, number[]>();
  let started = 0;
  const start = (): number => {
    const trajectory = 2 ** 32 * random.integer(3) + ++started;
    trajectories.set(trajectory, []);
    return trajectory;
  };
  const running = [start(), start(), start()];
  for (let k = 0; k < batches; k++) {
    const rows: RowSpec[] = [];
    for (let r = 0; r < 1 + random.integer(6); r++) {
      const slot = random.integer(running.length);
      const trajectory = running[slot]!;
      const rewards = Array.from({ length: 1 + random.integer(5) }, () => 3 * random.normal() + 1);
      const end = (["terminated", "truncated", undefined] as const)[random.integer(3)];
      rows.push({ trajectory, rewards, ...(end === undefined ? {} : { end }) });
      trajectories.get(trajectory)!.push(...rewards);
      if (end !== undefined) running[slot] = start();
    }
    yield { batch: batchOf(rows), trajectories };
  }
}

describe("the return-scale tracker", () => {
  it("knows the deviation of all discounted returns so far, trajectory by trajectory, over many batches", () => {
    for (let seed = 0; seed < 10; seed++) {
      const tracker = returnScaleTracker(GAMMA);
      let state = tracker.initial;
      for (const { batch, trajectories } of story(new Random(seed), 25)) {
        state = tracker.observe(state, batch);
        const returns = [...trajectories.values()].flatMap((rewards) => {
          let running = 0;
          return rewards.map((reward) => (running = GAMMA * running + reward));
        });
        expect(tracker.read(state)["std"]).toBeCloseTo(spread(returns), 9);
      }
    }
  });

  it("carries only what goes on, and survives a checkpoint's JSON", () => {
    const tracker = returnScaleTracker(GAMMA);
    let [state, restored] = [tracker.initial, tracker.initial];
    for (const { batch } of story(new Random(3), 10)) {
      state = tracker.observe(state, batch);
      restored = tracker.observe(JSON.parse(JSON.stringify(restored)) as typeof state, batch);
    }
    expect(restored).toEqual(state);
    expect(state.carried.length).toBeLessThanOrEqual(3);
    const ended = state.carried.map(([trajectory]) => ({
      trajectory,
      rewards: [1],
      end: "truncated" as const,
    }));
    expect(tracker.observe(state, batchOf(ended)).carried).toEqual([]);
  });

  it("does not depend on where rows and batches are cut", () => {
    const random = new Random(4);
    const rewards = Array.from({ length: 12 }, () => random.normal());
    const tracker = returnScaleTracker(GAMMA);
    const whole = tracker.observe(tracker.initial, batchOf([{ trajectory: 5, rewards, end: "terminated" }]));
    for (let cut = 1; cut < 12; cut++) {
      const parts: RowSpec[] = [
        { trajectory: 5, rewards: rewards.slice(0, cut) },
        { trajectory: 5, rewards: rewards.slice(cut), end: "terminated" },
      ];
      const oneBatch = tracker.observe(tracker.initial, batchOf(parts));
      const twoBatches = parts.reduce(
        (state, row) => tracker.observe(state, batchOf([row])),
        tracker.initial,
      );
      expect(oneBatch).toEqual(whole);
      expect(twoBatches.carried).toEqual([]);
      expect(tracker.read(twoBatches)["std"]).toBeCloseTo(tracker.read(whole)["std"]!, 12);
    }
  });

  it("starts each trajectory of each seat at zero, after an end too", () => {
    const tracker = returnScaleTracker(1);
    const rows: RowSpec[] = [
      { trajectory: 1, rewards: [5], end: "terminated" },
      { trajectory: 1 + 2 ** 32, rewards: [5] },
      { trajectory: 2, rewards: [5], end: "truncated" },
      { trajectory: 1, rewards: [5] },
    ];
    // Every return is 5: anything carried over would spread them.
    expect(tracker.read(tracker.observe(tracker.initial, batchOf(rows)))["std"]).toBeCloseTo(0, 9);
  });

  it("takes no notice of masked steps", () => {
    const tracker = returnScaleTracker(GAMMA);
    const chosen = batchOf([{ trajectory: 1, rewards: [1, 2, 3] }]);
    const padded = batchOf([{ trajectory: 1, rewards: [9, 1, 9, 2, 3, 9], mask: [0, 1, 0, 1, 1, 0] }]);
    expect(tracker.observe(tracker.initial, padded)).toEqual(tracker.observe(tracker.initial, chosen));
    expect(tracker.observe(tracker.initial, padded).moments.count).toBe(3);
  });

  it("reads 1 before anything was seen, so that rewards stay as they are", () => {
    const tracker = returnScaleTracker(GAMMA);
    expect(tracker.read(tracker.initial)).toEqual({ std: 1 });
  });
});

describe("scaled rewards", () => {
  it("are rewards over the deviation read, at most ten either way", () => {
    const batch = batchOf([{ trajectory: 1, rewards: [1, -3, 100, -100, 0] }]);
    const { step } = scaleRewards("scale").run(batch, contextOf({ scale: { std: 2 } }));
    const scaled = Array.from(step!["rewards"]!);
    [0.5, -1.5, 10, -10, 0].forEach((expected, t) => expect(scaled[t]).toBeCloseTo(expected, 7));
    expect(Math.max(...scaled)).toBe(10);
    expect(batch.step["rewards"]![2]).toBe(100);
  });

  it("do not become infinite where returns have not varied", () => {
    const batch = batchOf([{ trajectory: 1, rewards: [1, 0, -1e-20] }]);
    const { step } = scaleRewards("scale").run(batch, contextOf({ scale: { std: 0 } }));
    expect(Array.from(step!["rewards"]!)).toEqual([10, 0, expect.closeTo(0, 9)]);
  });
});
