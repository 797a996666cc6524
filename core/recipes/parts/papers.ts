/** Papers: one row of each of several groups, as pupils who all answer the same questions hand them in (RiskPO). */
import { groupStatistics, rowsByGroup } from "../../algo/group-statistics.js";
import { rowColumn, type Batch } from "../../slots/batch.js";

export interface Bundle {
  /** Rows of each paper. */
  readonly papers: readonly (readonly number[])[];
  /** Of each paper: the sum of its rows'. */
  readonly scores: Float64Array;
}

/** Paper j has the j-th row of each group of a bundle of `size`; bundles in the batch's order, the last may be small. */
export function bundlesOf(batch: Batch, size: number): Bundle[] {
  const scores = rowColumn(batch, "score");
  const members = rowColumn(batch, "member");
  const groups = rowsByGroup(rowColumn(batch, "group"));
  for (const rows of groups) rows.sort((a, b) => members[a]! - members[b]!);
  return Array.from({ length: Math.ceil(groups.length / size) }, (_, b) => {
    const bundle = groups.slice(b * size, (b + 1) * size);
    const count = Math.min(...bundle.map((rows) => rows.length));
    const papers = Array.from({ length: count }, (_, j) => bundle.map((rows) => rows[j]!));
    const scoreOf = (rows: readonly number[]): number => rows.reduce((sum, i) => sum + scores[i]!, 0);
    return { papers, scores: Float64Array.from(papers, scoreOf) };
  });
}

export type Credit = "sum-mean" | "uniform" | "std" | "score";

/** Spread below which a group counts as having none. */
const NO_SPREAD = 1e-3;

/**
 * What part of its paper's advantage each row of the paper has: sum-mean = by its score above its group's mean, and
 * equal parts where those sum to nothing; uniform = 1; std = 1/std of its group; score = 1/2 where it scored, else 3/2.
 */
export function creditOf(credit: Credit, batch: Batch, eps: number): (rows: readonly number[]) => number[] {
  const scores = rowColumn(batch, "score");
  const { means, stds } = groupStatistics(scores, rowColumn(batch, "group"), "zero");
  switch (credit) {
    case "uniform":
      return (rows) => rows.map(() => 1);
    case "score":
      return (rows) => rows.map((i) => (scores[i]! > 0 ? 0.5 : 1.5));
    case "std":
      return (rows) => rows.map((i) => 1 / (spreadOr1(stds[i]!) + eps));
    case "sum-mean":
      return (rows) => {
        const above = rows.map((i) => scores[i]! - means[i]!);
        const sum = above.reduce((a, b) => a + b, 0);
        return above.map((x) => (Math.abs(sum) > 1e-6 ? x / sum : 1 / rows.length));
      };
  }
}

/** A standard deviation to divide by; 1 where there is none to speak of. */
export function spreadOr1(std: number): number {
  return std > NO_SPREAD ? std : 1;
}
