/** Episodes and the branches that were played from their states, in the rows of a batch. */
import { rowCount } from "../../types.js";
import { rowColumn, stepColumn, type Batch } from "../../slots/batch.js";

/** Continuations from one state of an episode. */
export interface Fork {
  /** Step of the episode before which they begin. */
  readonly at: number;
  /** Σ rewards of the episode before that. */
  readonly prefix: number;
  readonly rows: readonly number[];
}

/** One member of a group: its episode and what branches off, in rising order. */
export interface Tree {
  readonly group: number;
  /** Row of the episode. */
  readonly row: number;
  readonly forks: readonly Fork[];
}

/** Every member of every group, in the order of their rows. */
export function treesOf(batch: Batch): Tree[] {
  const [groups, members] = [rowColumn(batch, "group"), rowColumn(batch, "member")];
  const branchAt = rowColumn(batch, "branchAt");
  const rewards = stepColumn(batch, "rewards");
  const trees = new Map<string, { row: number; group: number; forks: Map<number, number[]> }>();
  for (let row = 0; row < rowCount(batch); row++) {
    const key = `${groups[row]}/${members[row]}`;
    const at = branchAt[row]!;
    if (Number.isNaN(at)) trees.set(key, { row, group: groups[row]!, forks: new Map() });
    const { forks } = trees.get(key)!;
    if (!Number.isNaN(at)) forks.set(at, [...(forks.get(at) ?? []), row]);
  }
  return [...trees.values()].map(({ row, group, forks }) => {
    const from = batch.offsets[row]!;
    const forkOf = ([at, rows]: [number, readonly number[]]): Fork => ({
      ...{ at, rows },
      prefix: rewards.subarray(from, from + at).reduce((sum, reward) => sum + reward, 0),
    });
    return { row, group, forks: [...forks].map(forkOf).sort((a, b) => a.at - b.at) };
  });
}
