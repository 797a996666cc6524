/**
 * Trust region policy optimisation (Schulman et al. 2015, arXiv:1502.05477): one step of the policy down the natural
 * gradient, as far as the mean KL from the policy that sealed the batch allows; the critic is fitted by itself.
 *
 *   minimise L = −mean[ρ·Â] subject to D = mean KL(π_old(·|s) ‖ π(·|s)) ≤ δ
 *   x ≈ (∇²D + ηI)⁻¹∇L by conjugate gradients; θ ← θ − decay^j·√(2δ/xᵀ(∇²D + ηI)x)·x, the first j with D ≤ δ and L no higher
 *
 * Â by GAE, whitened over the batch; the critic's targets are the discounted returns (λ = 1), as in the code followed. ∇²D·v
 * comes from central differences of ∇D. Traps: η matters, since the KL has no curvature along the critic's weights; actor and
 * critic must share none, or fitting one moves the other. Source confidence: exact (Spinning Up's trpo.py).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { importanceSampling } from "../algo/surrogates.js";
import { generalizedAdvantages, rewardToGo, whitenAdvantages } from "./parts/advantages.js";
import { criticParams, entropyCoefficient, updateParams } from "./parts/params.js";
import type { Recipe, RecipeDefinition } from "../slots/recipe.js";
import { entropyTerm, policyKlTerm, policyTerm, valueTerm } from "./parts/terms.js";

const params = z.strictObject({
  batchSteps: updateParams.batchSteps.default(4000).describe("Environment steps of one batch"),
  gamma: criticParams.gamma,
  lambda: criticParams.lambda.default(0.97).describe("GAE's λ"),
  maxKl: z.number().positive().max(10).default(0.01).describe("Bound δ of the mean KL of one step, nats"),
  damping: z.number().min(0).max(100).default(0.1).describe("η, added to the KL's curvature"),
  iterations: z.int().min(1).max(1000).default(10).describe("Iterations of conjugate gradients"),
  backtracks: z.int().min(1).max(1000).default(10).describe("Step lengths that the line search tries"),
  decay: z.number().gt(0).lt(1).default(0.8).describe("Each step length that is tried over the one before"),
  entropyCoefficient: entropyCoefficient.default(0).describe("Weight c_e of the entropy bonus"),
  valueIterations: z
    .int()
    .min(1)
    .max(1e5)
    .default(80)
    .describe("Passes in which the critic is fitted to a batch"),
  minibatches: updateParams.minibatches.default(1).describe("Minibatches of each of the critic's passes"),
  learningRate: updateParams.learningRate.default(1e-3).describe("Adam's step size for the critic"),
  annealLearningRate: updateParams.annealLearningRate
    .default(false)
    .describe("Linear decay of the learning rate to 0 at stop.envSteps"),
  adamEpsilon: updateParams.adamEpsilon.default(1e-8).describe("Adam's ε"),
});

export const trpo: RecipeDefinition<z.output<typeof params>> = {
  id: "trpo",
  summary: "Trust region policy optimisation: natural gradient and line search (Schulman et al. 2015)",
  source: { confidence: "exact", checked: "Spinning Up's trpo.py" },
  params,
  build(p): Recipe {
    const { maxKl, damping, iterations, backtracks, decay } = p;
    const limits = { maxKl, damping, iterations, backtracks, decay };
    return {
      id: "trpo",
      requires: ["value", "separateCritic", "exactKl"],
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["value", "policy"],
      derive: [generalizedAdvantages(p), rewardToGo(p.gamma), whitenAdvantages],
      terms: [
        policyTerm({ surrogate: importanceSampling(), aggregator: tokenMean(), window: null }),
        entropyTerm(p.entropyCoefficient),
        valueTerm({ valueClipEpsilon: null, valueCoefficient: 1 }),
      ],
      trackers: {},
      update: {
        optimizer: { kind: "trustRegion", constraint: policyKlTerm(1), ...limits },
        ...{ epochs: p.valueIterations, minibatches: p.minibatches, minibatchesOf: "steps" },
        ...{ learningRate: p.learningRate, anneal: p.annealLearningRate, adamEpsilon: p.adamEpsilon },
        ...{ maxGradNorm: Infinity, targetKl: null },
      },
    };
  },
};
