import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import type { Rollout } from "../../core/types.js";
import { ReplayBuffer } from "../../services/learner/replay-buffer.js";
import { smallRollout } from "./fixture.js";

/** `groups` whole groups of two members with four steps each, from `first` on. */
const batch = (first: number, groups: number): Rollout[] =>
  Array.from({ length: 2 * groups }, (_, k) =>
    smallRollout({ task: "task-0", group: first + (k >> 1), member: k % 2 }),
  );
const groupsOf = (rollouts: readonly Rollout[]): number[] => rollouts.map(({ group }) => group);

describe("a replay buffer", () => {
  it("has nothing for the first batch, and then only what came before the batch at hand", () => {
    const buffer = new ReplayBuffer({ batches: 2, share: 1 });
    const random = new Random(1);
    expect(buffer.draw(batch(1, 3), random)).toEqual([]);
    const second = groupsOf(buffer.draw(batch(4, 3), random));
    expect([...second].sort()).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it("forgets all but the last batches", () => {
    const buffer = new ReplayBuffer({ batches: 2, share: 100 });
    const drawn = [1, 4, 7, 10].map((first) => groupsOf(buffer.draw(batch(first, 3), new Random(first))));
    expect(drawn.map((groups) => [...new Set(groups)].sort((a, b) => a - b))).toEqual([
      ...[[], [1, 2, 3], [1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9]],
    ]);
  });

  it("draws whole groups, none twice, until it has its share of the new steps", () => {
    for (let seed = 0; seed < 20; seed++) {
      const buffer = new ReplayBuffer({ batches: 1, share: 0.4 / 0.6 });
      buffer.draw(batch(1, 10), new Random(seed));
      // 48 new steps: 32 old ones, which are four groups.
      const groups = groupsOf(buffer.draw(batch(11, 6), new Random(seed)));
      expect(groups).toHaveLength(8);
      expect(new Set(groups).size).toBe(4);
      for (let k = 0; k < 8; k += 2) expect(groups[k]).toBe(groups[k + 1]);
    }
  });

  it("draws every group as often as any other, and the same for the same seed", () => {
    const counts = new Map<number, number>();
    const draw = (seed: number): number[] => {
      const buffer = new ReplayBuffer({ batches: 1, share: 0.5 });
      buffer.draw(batch(1, 6), new Random(0));
      return groupsOf(buffer.draw(batch(7, 4), new Random(seed)));
    };
    const rounds = 1200;
    for (let seed = 0; seed < rounds; seed++) {
      for (const group of new Set(draw(seed))) counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    // Two of six: a share of 1/3 with a standard deviation of √(2/9/1200) = 0.014.
    for (let group = 1; group <= 6; group++) {
      expect(Math.abs((counts.get(group) ?? 0) / rounds - 1 / 3)).toBeLessThan(0.055);
    }
    expect(draw(5)).toEqual(draw(5));
  });

  it("takes fragments of seats one by one", () => {
    const buffer = new ReplayBuffer({ batches: 1, share: 0.25 });
    const fragments = [0, 1, 2, 3].map((seat) => smallRollout({ seat, group: 7 }));
    buffer.draw(fragments, new Random(1));
    const drawn = buffer.draw(fragments, new Random(1));
    expect(drawn).toHaveLength(1);
    expect(fragments).toContain(drawn[0]);
  });
});
