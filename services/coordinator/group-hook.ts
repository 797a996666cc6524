/** What follows from a group that is whole. Methods that collect more for some groups bring a GroupHook of their own. */
import type { GroupOrder } from "./allocator.js";
import type { HistorySnapshot } from "./history.js";

export interface SealedMember {
  readonly member: number;
  readonly steps: number;
  /** NaN where no episode ended in it. */
  readonly episodeReturn: number;
  readonly episodeLength: number;
}

/** A group of which the learner has every member. */
export interface SealedGroup extends GroupOrder {
  readonly group: number;
  /** By member. */
  readonly members: readonly SealedMember[];
}

export interface GroupHook {
  /** Groups to be collected before any other; called once for each group. Must depend on its arguments alone. */
  sealed(group: SealedGroup, history: HistorySnapshot): readonly GroupOrder[];
}

export const nothingFollows: GroupHook = { sealed: () => [] };
