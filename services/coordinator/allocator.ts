/** What the next group plays. Methods that choose their tasks bring an Allocator of their own. */
import { deriveSeed } from "../../core/random.js";
import type { HistorySnapshot } from "./history.js";

/** One group to be collected: `groups.size` members that play `task` from the state that `seed` gives. */
export interface GroupOrder {
  /** The same task has the same name and seed whenever it is chosen. */
  readonly task: string;
  readonly seed: number;
}

export interface Allocator {
  /**
   * Chooses for group number `group`, knowing what was known when the batch under way began. Must depend on its
   * arguments alone: a coordinator that was killed may ask for the same group twice.
   */
  next(group: number, history: HistorySnapshot): GroupOrder;
}

/** Task number `task` of a run, `task-<n>` from 0. */
export function taskOrder(runSeed: number, task: number): GroupOrder {
  return { task: `task-${task}`, seed: deriveSeed(runSeed, "task", task) };
}

/** Each task as likely as any other, whatever came of it before. */
export function uniformAllocator(runSeed: number, tasks: number): Allocator {
  return {
    next: (group) => {
      const share = deriveSeed(runSeed, "allocate", group) / 2 ** 32;
      return taskOrder(runSeed, Math.floor(share * tasks));
    },
  };
}
