/** Several scores of a row made one. */
import { rowsByGroup } from "./group-statistics.js";

export interface Rubric {
  /** [R] s_k */
  readonly scores: Float64Array;
  /** [R] c_k, how sure the judge is of them; null = always 1 */
  readonly confidences: Float64Array | null;
}

/**
 * R_i = Σ_k ω_k·s_{i,k} / Σ_k ω_k, ω_k = mean over the row's group of c_{i,k} (GRAPE, 2025); where all ω are 0 rubrics count
 * the same. groups [R] → [R]
 */
export function weighedRubrics(rubrics: readonly Rubric[], groups: Float64Array): Float64Array {
  const combined = new Float64Array(groups.length);
  for (const rows of rowsByGroup(groups)) {
    const weights = rubrics.map(({ confidences }) =>
      confidences === null ? 1 : rows.reduce((sum, i) => sum + confidences[i]!, 0) / rows.length,
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const share = (k: number): number => (total === 0 ? 1 / rubrics.length : weights[k]! / total);
    for (const i of rows) {
      combined[i] = rubrics.reduce((sum, { scores }, k) => sum + share(k) * scores[i]!, 0);
    }
  }
  return combined;
}
