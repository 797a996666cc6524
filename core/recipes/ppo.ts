/**
 * Proximal policy optimisation with a clipped surrogate (Schulman et al. 2017, arXiv:1707.06347; GAE: Schulman et
 * al. 2016). Defaults follow "The 37 implementation details of PPO" (Huang et al. 2022) for CartPole.
 *
 *   loss = mean ppoClip(ρ, Â; ε) + c_v·½ mean (v − R)² [clipped] − c_e·mean H
 *
 * ρ = π/π_behaviour; Â by GAE with the values of the weights that seal the batch, normalised in each minibatch
 * (mean, Bessel-corrected standard deviation + 1e-8); R = Â + V before that normalisation. Truncated rows bootstrap
 * from their final observation, terminated ones do not. Source confidence: exact (CleanRL's ppo.py).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { entropyBonus } from "../algo/entropy.js";
import { gae } from "../algo/gae.js";
import { approximateKl } from "../algo/kl.js";
import { tokenLogRatios } from "../algo/ratio.js";
import { explainedVariance, maskedMean, standardize } from "../algo/statistics.js";
import { clipFraction, ppoClip } from "../algo/surrogates.js";
import { clippedValueLoss, squaredValueLoss } from "../algo/value-loss.js";
import { stepColumn } from "./batch.js";
import type { Derive, Recipe, RecipeDefinition, Term } from "./recipe.js";
import { returnScaleTracker, scaleRewards } from "./return-scale.js";

const params = z.strictObject({
  batchSteps: z.int().min(1).max(1e8).default(512).describe("Environment steps of one batch"),
  epochs: z.int().min(1).max(1000).default(4).describe("Passes over each batch"),
  minibatches: z.int().min(1).max(1e6).default(4).describe("Minibatches of each pass"),
  learningRate: z.number().positive().max(10).default(2.5e-4).describe("Adam's step size"),
  annealLearningRate: z
    .boolean()
    .default(true)
    .describe("Linear decay of the learning rate to 0 at stop.envSteps"),
  adamEpsilon: z.number().positive().max(1).default(1e-5).describe("Adam's ε"),
  maxGradNorm: z.number().positive().default(0.5).describe("Global L2 norm to which gradients are clipped"),
  gamma: z.number().min(0).max(1).default(0.99).describe("Discount per step, γ"),
  lambda: z.number().min(0).max(1).default(0.95).describe("GAE's λ"),
  clipEpsilon: z.number().positive().max(10).default(0.2).describe("Ratio clip ε"),
  valueClipEpsilon: z
    .number()
    .positive()
    .nullable()
    .default(0.2)
    .describe("Clip of the value around its old value, in units of return; null = no clip"),
  valueCoefficient: z.number().min(0).default(0.5).describe("Weight c_v of the value loss"),
  entropyCoefficient: z.number().min(0).default(0.01).describe("Weight c_e of the entropy bonus"),
  normalizeAdvantages: z.boolean().default(true).describe("Normalise advantages in each minibatch"),
  scaleRewards: z
    .boolean()
    .default(false)
    .describe("Divide rewards by the running std of the discounted return"),
  targetKl: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("KL(π_behaviour ‖ π), nats, beyond which a batch's epochs end early; null = never"),
});
type PpoParams = z.output<typeof params>;

function advantages({ gamma, lambda }: PpoParams): Derive {
  return {
    id: "gae",
    when: "seal",
    needs: ["rewards", "values"],
    writes: ["advantages", "returns"],
    run: (batch) => {
      const result = gae(
        {
          rewards: stepColumn(batch, "rewards"),
          values: stepColumn(batch, "values"),
          bootstrapValues: batch.row["bootstrapValues"]!,
          terminated: batch.terminated,
          mask: batch.mask,
          offsets: batch.offsets,
        },
        { gamma, lambda },
      );
      return { step: { advantages: result.advantages, returns: result.returns } };
    },
  };
}

const normalizeAdvantages: Derive = {
  id: "normalizeAdvantages",
  when: "step",
  needs: ["advantages"],
  writes: ["advantages"],
  run: (batch) => ({ step: { advantages: standardize(stepColumn(batch, "advantages"), batch.mask) } }),
};

function policyTerm({ clipEpsilon }: PpoParams): Term {
  const window = { low: clipEpsilon, high: clipEpsilon };
  const surrogate = ppoClip(window);
  return {
    id: "policyLoss",
    on: "logprob",
    coefficient: 1,
    aggregator: tokenMean(),
    needs: ["advantages", "behaviorLogprobs"],
    evaluate(logprobs, batch, out) {
      const logRatios = tokenLogRatios(logprobs, stepColumn(batch, "behaviorLogprobs"));
      const columns = { logprobs, logRatios, advantages: stepColumn(batch, "advantages") };
      surrogate(columns, out);
      return {
        klK3: approximateKl(logRatios, batch.mask),
        clipFraction: clipFraction(logRatios, columns.advantages, batch.mask, window),
      };
    },
  };
}

function valueTerm({ valueClipEpsilon, valueCoefficient }: PpoParams): Term {
  const lossOf =
    valueClipEpsilon === null ? squaredValueLoss() : clippedValueLoss({ epsilon: valueClipEpsilon });
  return {
    id: "valueLoss",
    on: "value",
    coefficient: valueCoefficient,
    aggregator: tokenMean(),
    needs: ["values", "returns"],
    evaluate(values, batch, out) {
      const valueTargets = stepColumn(batch, "returns");
      lossOf({ values, oldValues: stepColumn(batch, "values"), valueTargets }, out);
      return { explainedVariance: explainedVariance(values, valueTargets, batch.mask) };
    },
  };
}

function entropyTerm({ entropyCoefficient }: PpoParams): Term {
  return {
    id: "entropyLoss",
    on: "entropy",
    coefficient: entropyCoefficient,
    aggregator: tokenMean(),
    needs: [],
    evaluate(entropies, batch, out) {
      entropyBonus(entropies, out);
      return { entropy: maskedMean(entropies, batch.mask) };
    },
  };
}

export const ppo: RecipeDefinition<PpoParams> = {
  id: "ppo",
  summary: "Proximal policy optimisation, clipped surrogate, GAE (Schulman et al. 2017)",
  params,
  build(p): Recipe {
    return {
      id: "ppo",
      sampler: { batchSteps: p.batchSteps },
      evaluate: ["value"],
      derive: [
        ...(p.scaleRewards ? [scaleRewards("returnScale")] : []),
        advantages(p),
        ...(p.normalizeAdvantages ? [normalizeAdvantages] : []),
      ],
      terms: [policyTerm(p), valueTerm(p), entropyTerm(p)],
      trackers: p.scaleRewards ? { returnScale: returnScaleTracker(p.gamma) } : {},
      update: {
        epochs: p.epochs,
        minibatches: p.minibatches,
        learningRate: p.learningRate,
        anneal: p.annealLearningRate,
        maxGradNorm: p.maxGradNorm,
        adamEpsilon: p.adamEpsilon,
        targetKl: p.targetKl,
      },
    };
  },
};
