/**
 * Optimal baseline (OBLR-PO, 2025; the proxy is verl's optimal token baseline): of all baselines the one of least
 * variance weighs scores by the squared length of their gradient.
 *
 *   A_i = r_i − Σ_j W_j·r_j / Σ_j W_j over the group, W_i = Σ_t (1 − 2·π_t(a_t) + Σ_a π_t(a)²)
 *   loss = token-mean of ppoClip(ρ_t, A_i)
 *
 * W_i is Σ_t ‖∂ log π(a_t)/∂ logits‖² under the weights that seal the batch, which needs no backward pass. Traps: the
 * baseline reads the row's own score, so the gradient is slightly biased; a certain policy has W = 0 everywhere, and
 * then the mean is taken. The paper's learning rate by signal-to-noise ratio is not here: ‖E g‖² cannot be had from the
 * norms of minibatches' gradients. Source confidence: derived (only the abstract was at hand).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { rowsByGroup } from "../algo/group-statistics.js";
import { logitGradientNorm } from "../algo/categorical.js";
import { rowAdvantages } from "./parts/advantages.js";
import { rowColumn, stepColumn, type Batch } from "../slots/batch.js";
import { clipped, clipWindow, groupParams, groupRecipe } from "./parts/group-recipe.js";
import type { RecipeDefinition } from "../slots/recipe.js";

const params = z.strictObject({ ...groupParams, ...clipWindow(0.2, 0.2) });

/** [R] W_i of rows with discrete actions. */
function gradientWeights(batch: Batch): Float64Array {
  const { mask, offsets, inputs } = batch;
  const policies = stepColumn(batch, "policies");
  const count = policies.length / inputs.steps;
  return Float64Array.from({ length: offsets.length - 1 }, (_, i) => {
    let sum = 0;
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
      if (mask[t] === 1) sum += logitGradientNorm(policies, t * count, count, inputs.actions![t]!);
    }
    return sum;
  });
}

const optimalBaseline = rowAdvantages("optimalBaseline", ["policies"], (batch) => {
  const scores = rowColumn(batch, "score");
  const weights = gradientWeights(batch);
  const advantages = scores.slice();
  for (const rows of rowsByGroup(rowColumn(batch, "group"))) {
    const certain = rows.every((i) => weights[i] === 0);
    const weightOf = (i: number): number => (certain ? 1 : weights[i]!);
    const total = rows.reduce((sum, i) => sum + weightOf(i), 0);
    const baseline = rows.reduce((sum, i) => sum + weightOf(i) * scores[i]!, 0) / total;
    for (const i of rows) advantages[i]! -= baseline;
  }
  return advantages;
});

export const oblrPo: RecipeDefinition<z.output<typeof params>> = {
  id: "oblr-po",
  summary: "The group baseline of least variance: scores weighed by their gradients (OBLR-PO, 2025)",
  source: { confidence: "derived", checked: "the abstract; verl's optimal token baseline" },
  params,
  build(p) {
    const recipe = groupRecipe(p, {
      id: "oblr-po",
      advantages: optimalBaseline,
      ...clipped(p),
      aggregator: tokenMean(),
    });
    return { ...recipe, requires: [...recipe.requires, "discrete"], evaluate: ["policy"] };
  },
};
