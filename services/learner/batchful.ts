/** What one batch is trained on, and how old it is. */
import type { Rollout } from "../../core/types.js";
import type { Held } from "./ready-queue.js";

/** Over the rollouts of a batch, versions. */
export interface Lag {
  readonly mean: number;
  readonly max: number;
}

export interface Batchful {
  readonly rollouts: readonly Rollout[];
  readonly steps: number;
  /** Returns of the episodes that the recipe's filter kept out since the batch before. */
  readonly filteredReturns: readonly Float32Array[];
  /** Version at training − oldest version in the rollout: rollout by rollout the sum of the two below. */
  readonly policyLag: Lag;
  /** Version at arrival − oldest version. */
  readonly inFlightLag: Lag;
  /** Version at training − version at arrival. */
  readonly inQueueLag: Lag;
}

function lagOf(lags: readonly number[]): Lag {
  return { mean: lags.reduce((a, b) => a + b, 0) / lags.length, max: lags.reduce((a, b) => Math.max(a, b)) };
}

/** `version`: of the weights that it is trained on. */
export function batchfulOf(
  batch: readonly Held[],
  version: number,
  filteredReturns: readonly Float32Array[],
): Batchful {
  return {
    filteredReturns,
    rollouts: batch.map(({ rollout }) => rollout),
    steps: batch.reduce((sum, { steps }) => sum + steps, 0),
    policyLag: lagOf(batch.map(({ oldestVersion }) => version - oldestVersion)),
    inFlightLag: lagOf(batch.map(({ arrivalVersion, oldestVersion }) => arrivalVersion - oldestVersion)),
    inQueueLag: lagOf(batch.map(({ arrivalVersion }) => version - arrivalVersion)),
  };
}
