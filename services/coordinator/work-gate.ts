/**
 * How much work may be under way, and with which weights.
 *
 * Always: work is granted only while the steps of all requests in flight are fewer than (maxPolicyLag + 1) whole
 * batches, so at most maxPolicyLag batches are ahead of a piece of work when it starts.
 */
import type { RunRecord } from "./run-state.js";

export interface GateOptions {
  /** Steps at which a batch is complete; what completes it is taken whole. */
  readonly batchSteps: number;
  readonly maxPolicyLag: number;
  /** A batch has a multiple of this many groups. */
  readonly bundleGroups: number;
}

/** Pending steps at which no more is granted. `unitSteps`: what a batch takes whole, a fragment or a group. */
export function limitSteps(
  unitSteps: number,
  { batchSteps, maxPolicyLag, bundleGroups }: GateOptions,
): number {
  const bundles = Math.ceil(batchSteps / (bundleGroups * unitSteps));
  return (maxPolicyLag + 1) * bundles * bundleGroups * unitSteps;
}

/**
 * Deterministic runs: fragment k after `baseGroup` is collected with the version one behind that which it trains,
 * the first two with the one that the learner began with.
 */
export function exactVersionOf(
  group: number,
  { firstVersion, baseGroup }: Pick<RunRecord, "firstVersion" | "baseGroup">,
): number {
  return firstVersion + Math.max(0, group - baseGroup - 2);
}
