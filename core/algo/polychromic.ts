/** Advantages of rollouts that are scored in sets, for their return and for how different they are. */
import { expectLength } from "../errors.js";

/**
 * Polychromic advantages (Hamid et al. 2025, "Polychromic objectives for reinforcement learning") of n rollouts from
 * one state:
 *
 *   f(g) = mean_{i∈g} R_i · #distinct_{i∈g} answers / |g|;  A(g) = f(g) − mean over all sets of f
 *
 * A rollout has the mean of A over the sets that it is in; 0 where it is in none. returns, answers [n] (same number =
 * same outcome); sets of rollouts by number, none of them empty → [n].
 */
export function polychromicAdvantages(
  returns: Float64Array,
  answers: Float64Array,
  sets: readonly Uint32Array[],
): Float64Array {
  expectLength("polychromicAdvantages", "answers", returns.length, answers.length);
  const scores = sets.map((set) => {
    const mean = set.reduce((sum, i) => sum + returns[i]!, 0) / set.length;
    return (mean * new Set(Array.from(set, (i) => answers[i]!)).size) / set.length;
  });
  const baseline = scores.reduce((a, b) => a + b, 0) / scores.length;
  const advantages = new Float64Array(returns.length);
  const counts = new Uint32Array(returns.length);
  sets.forEach((set, k) => {
    for (const i of set) {
      counts[i]!++;
      advantages[i]! += scores[k]! - baseline;
    }
  });
  return advantages.map((sum, i) => (counts[i] === 0 ? 0 : sum / counts[i]!));
}
