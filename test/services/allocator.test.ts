import { describe, expect, it } from "vitest";
import { taskOrder, uniformAllocator } from "../../services/coordinator/allocator.js";
import type { HistorySnapshot } from "../../services/coordinator/history.js";

const NOTHING_KNOWN: HistorySnapshot = { tasks: 0, of: () => null };

describe("a uniform allocator", () => {
  it("chooses each task as often as any other, the same for the same group whenever it is asked", () => {
    const tasks = 7;
    const counts = new Map<string, number>();
    const allocator = uniformAllocator(3, tasks);
    const groups = 7000;
    for (let group = 1; group <= groups; group++) {
      const { task, seed } = allocator.next(group, NOTHING_KNOWN);
      expect(allocator.next(group, NOTHING_KNOWN)).toEqual({ task, seed });
      counts.set(task, (counts.get(task) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(Array.from({ length: tasks }, (_, k) => `task-${k}`));
    // χ² with 6 degrees of freedom: above 22.5 once in a thousand; the seed is fixed.
    const expected = groups / tasks;
    const chi2 = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chi2).toBeLessThan(22.5);
  });

  it("gives a task one initial state, and other runs others", () => {
    expect(taskOrder(1, 4)).toEqual(taskOrder(1, 4));
    expect(taskOrder(1, 4).seed).not.toBe(taskOrder(2, 4).seed);
    expect(taskOrder(1, 4).seed).not.toBe(taskOrder(1, 5).seed);
  });
});
