/**
 * Probabilistic mixture of experts (Ren et al. 2021, arXiv:2104.09122): PPO of a policy that is a mixture of K Gaussians,
 * with a gate that is drawn towards the component of most value.
 *
 *   loss = ppoClip of the mixture's exact log-probability + c_v·½(v − R)² + c_f·mean_k (w_k(s) − 1[k = k*])²
 *          + c_Q·Σ_k p(k|s,a)·(Q_k(s) − R)², k* = argmax_k Q_k(s)
 *
 * Simplified: the paper draws an action of every component and values it with a network Q(s, a_k), all regressed to the one return;
 * here Q_k(s) is the value of acting with component k, an output of the network, which learns the return as far as the component is
 * likely to have drawn the action, p(k|s,a) of the policy that sealed the batch. Deviations are the same in every state. Trap:
 * the entropy is that of component and action together. Source confidence: derived (the loss and its defaults as in the
 * authors' pmoe_ppo.py but for that).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import {
  bestComponents,
  componentsOf,
  componentValueLoss,
  frequencyLoss,
  responsibilities,
} from "../algo/mixture.js";
import { criticAdvantages, criticTrackers } from "./parts/advantages.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import { ppoParams } from "./ppo.js";
import type { Derive, RecipeDefinition, Term } from "../slots/recipe.js";
import { bonusForEntropy, clipTerm, valueTerm } from "./parts/terms.js";

const weight = z.number().min(0).max(1e6).default(1);

const params = z.strictObject({
  ...ppoParams.shape,
  batchSteps: updateParams.batchSteps.default(2048).describe("Environment steps of one batch"),
  epochs: updateParams.epochs.default(10).describe("Passes over each batch"),
  minibatches: updateParams.minibatches.default(32).describe("Minibatches of each pass"),
  learningRate: updateParams.learningRate.default(3e-4).describe("Adam's step size"),
  valueClipEpsilon: criticParams.valueClipEpsilon
    .default(null)
    .describe("Clip of the value around its old value, in units of return; null = no clip"),
  entropyCoefficient: entropyCoefficient.default(0).describe("Weight c_e of the entropy bonus"),
  frequencyCoefficient: weight.describe("Weight c_f of the gate's distance from the best component"),
  componentCoefficient: weight.describe("Weight c_Q of the component values' loss"),
});

/** p(k|s,a) under the policy that sealed the batch, [N·K]. */
const whoActed: Derive = {
  ...{ id: "responsibilities", when: "seal", needs: ["policies"], writes: ["responsibilities"] },
  run(batch) {
    const { actions, steps } = batch.inputs;
    const policies = stepColumn(batch, "policies");
    return { step: { responsibilities: responsibilities(policies, actions as Float32Array, steps) } };
  },
};

/** argmax_k Q_k(s) of the live values. */
const bestComponent: Derive = {
  ...{ id: "bestComponent", when: "step", live: ["componentValues"], needs: [], writes: ["bestComponent"] },
  run(batch, { live }) {
    const values = liveColumn(live, "componentValues");
    return { step: { bestComponent: bestComponents(values, batch.inputs.steps) } };
  },
};

function frequencyTerm(coefficient: number): Term {
  return {
    ...{ id: "frequencyLoss", on: "policy", coefficient, aggregator: tokenMean(), needs: ["bestComponent"] },
    evaluate(policies, batch, out) {
      const { actions, steps } = batch.inputs;
      const components = componentsOf(policies.length / steps, actions!.length / steps);
      frequencyLoss(policies, stepColumn(batch, "bestComponent"), components, out);
      return {};
    },
  };
}

function componentTerm(coefficient: number): Term {
  return {
    ...{ id: "componentLoss", on: "componentValues", coefficient, aggregator: tokenMean() },
    needs: ["responsibilities", "returns"],
    evaluate(values, batch, out) {
      const shares = stepColumn(batch, "responsibilities");
      componentValueLoss(values, shares, stepColumn(batch, "returns"), out);
      return {};
    },
  };
}

export const pmoe: RecipeDefinition<z.output<typeof params>> = {
  id: "pmoe",
  summary: "PPO of a mixture of Gaussians whose gate follows component values (Ren et al. 2021)",
  source: { confidence: "derived", checked: "the authors' pmoe_ppo.py; component values are simplified" },
  params,
  build: (p) => ({
    id: "pmoe",
    requires: ["value", "mixture"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: ["value", "policy"],
    derive: [whoActed, ...criticAdvantages(p), bestComponent],
    terms: [
      clipTerm(p.clipEpsilon),
      valueTerm(p),
      frequencyTerm(p.frequencyCoefficient),
      componentTerm(p.componentCoefficient),
      ...bonusForEntropy(p),
    ],
    trackers: criticTrackers(p),
    update: updatePlan(p, "steps"),
  }),
};
