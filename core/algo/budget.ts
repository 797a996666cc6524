/** Advantages of an episode that is scored at several of its steps, and not only where it ends. */
import { SkeinError, expectLength } from "../errors.js";

/**
 * Budget relative advantages (Qi et al. 2025, "Optimizing anytime reasoning via budget relative policy optimization"),
 * for G episodes of one group, scored at S splits; r_{i,s} = scores[i·S + s], P_s = probabilities[s]:
 *
 *   return_{i,s} = Σ_{k≥s} P_k·r_{i,k};  V2_s = mean_i return_{i,s}
 *   V1_{i,s} = (Σ_{j<s} 2^j·r_{i,j} / Σ_{j<s} 2^j)·Σ_{k≥s} P_k, 0 at s = 0
 *   A_{i,s} = return_{i,s} − (s·V1_{i,s} + (S − s)·V2_s)/S, of the steps between split s − 1 and split s
 *
 * scores [G·S], probabilities [S] → [G·S]. S = 1 is Dr. GRPO: r − mean.
 */
export function budgetAdvantages(scores: Float64Array, probabilities: Float64Array): Float64Array {
  const splits = probabilities.length;
  if (splits === 0) throw new SkeinError("SHAPE", "budgetAdvantages: expected probabilities [S], got none");
  const members = scores.length / splits;
  expectLength("budgetAdvantages", "scores", Math.ceil(members) * splits, scores.length);
  const returns = new Float64Array(scores.length);
  const tails = new Float64Array(splits);
  for (let s = splits - 1; s >= 0; s--) {
    tails[s] = probabilities[s]! + (tails[s + 1] ?? 0);
    for (let i = 0; i < members; i++) {
      const at = i * splits + s;
      returns[at] = probabilities[s]! * scores[at]! + (s + 1 < splits ? returns[at + 1]! : 0);
    }
  }
  const advantages = new Float64Array(scores.length);
  for (let s = 0; s < splits; s++) {
    let mean = 0;
    for (let i = 0; i < members; i++) mean += returns[i * splits + s]! / members;
    for (let i = 0; i < members; i++) {
      let [weighted, weights] = [0, 0];
      for (let j = 0; j < s; j++) {
        weighted += 2 ** j * scores[i * splits + j]!;
        weights += 2 ** j;
      }
      const before = s === 0 ? 0 : (weighted / weights) * tails[s]!;
      const baseline = (s * before + (splits - s) * mean) / splits;
      advantages[i * splits + s] = returns[i * splits + s]! - baseline;
    }
  }
  return advantages;
}

/**
 * P_s, [S], Σ = 1: `uniform` every split alike · `linear` ∝ s + 1 · `base` all on the last.
 */
export function budgetProbabilities(kind: "uniform" | "linear" | "base", splits: number): Float64Array {
  const weightOf = {
    uniform: () => 1,
    linear: (s: number) => s + 1,
    base: (s: number) => (s + 1 < splits ? 0 : 1),
  };
  const weights = Float64Array.from({ length: splits }, (_, s) => weightOf[kind](s));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/**
 * Advantages of an episode's steps: that of split s, `ofSplits` [S], at its steps from budget s − 1 up to budget s, and the
 * last to its end. budgets [S − 1], rising → [steps]
 */
export function spreadSplits(
  ofSplits: Float64Array,
  budgets: readonly number[],
  steps: number,
): Float64Array {
  expectLength("spreadSplits", "ofSplits", budgets.length + 1, ofSplits.length);
  const advantages = new Float64Array(steps);
  ofSplits.forEach((advantage, s) => advantages.fill(advantage, s === 0 ? 0 : budgets[s - 1]!));
  return advantages;
}
