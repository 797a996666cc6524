/** How much the answers of a group differ. */
import { expectLength } from "../errors.js";

/**
 * −Σ_c p_c·log p_c, nats, over distinct answers c, where p_c is the share of c in the rows' weights e^w: of the rows
 * themselves where all w are equal, of their likelihood where w is a log-probability (Kuhn et al. 2023, "Semantic
 * uncertainty"). answers, logWeights [G], all 0 unless given → number; 0 for no row.
 */
export function answerEntropy(
  answers: ArrayLike<number>,
  logWeights: ArrayLike<number> = new Float64Array(answers.length),
): number {
  expectLength("answerEntropy", "logWeights", answers.length, logWeights.length);
  let max = -Infinity;
  for (let i = 0; i < logWeights.length; i++) max = Math.max(max, logWeights[i]!);
  const weights = new Map<number, number>();
  let total = 0;
  for (let i = 0; i < answers.length; i++) {
    const weight = Math.exp(logWeights[i]! - max);
    weights.set(answers[i]!, (weights.get(answers[i]!) ?? 0) + weight);
    total += weight;
  }
  let entropy = 0;
  for (const weight of weights.values())
    if (weight > 0) entropy -= (weight / total) * Math.log(weight / total);
  return entropy;
}

/**
 * R = mean r·(1 − λ·H), λ = (1 − 1/G)/log2 G and 0 where G = 1: what a group of G rows with scores r is worth whose answers
 * have entropy H, bits (COPO, 2025). scores [G] → number
 */
export function consistentReward(scores: Float64Array, entropy: number): number {
  const rows = scores.length;
  const lambda = rows > 1 ? (1 - 1 / rows) / Math.log2(rows) : 0;
  return (scores.reduce((sum, score) => sum + score, 0) / rows) * (1 - lambda * entropy);
}
