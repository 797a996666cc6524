/** Plans of branches: what makes one sound. */
import type { BranchPlan } from "./types.js";

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

/** What is wrong with a plan as `expected …, got …`; null = it can be played. */
export function branchComplaint({ at, states, count, maxSteps }: BranchPlan): string | null {
  if (!isWhole(states, 1)) return `expected at least one state to branch from, got ${states}`;
  if (!isWhole(count, 1)) return `expected at least one branch from each state, got ${count}`;
  if (!isWhole(maxSteps, 0)) return `expected a whole number of steps of a branch, or 0, got ${maxSteps}`;
  if (at === "random") return null;
  if (!at.every((step, k) => isWhole(step, 0) && (k === 0 || step > at[k - 1]!))) {
    return `expected the steps to branch at in rising order, got ${at.join(", ")}`;
  }
  return at.length === states
    ? null
    : `expected as many steps to branch at as states (${states}), got ${at.length}`;
}

/** Rows that an episode and all of its branches make. */
export function branchRows(plan: BranchPlan | null): number {
  return plan === null ? 1 : 1 + plan.states * plan.count;
}
