/**
 * Post-decision PPO with two critics (Felizardo et al. 2025, arXiv:2504.05150): beside V(s) a critic V^x(s^x) of the state that an action leads
 * to before chance has its part, which is easier to value where transitions are random.
 *
 *   Ĝ = (G − mean)/(std + 1e-7) over the batch, G_t = r_t + γG_{t+1}; Â_t = Ĝ_t − min(V_t, V^x_t)
 *   loss = mean ppoClip(ρ, Â; ε) + ½·(min(v, v^x) − Ĝ)² − c_e·H, the critics' part on the smaller of the two alone
 *
 * Needs whole episodes, hence groups: G takes nothing for what would come after a row. Traps: both critics are of normalised
 * returns, which mean something else in every batch; the released Lake code evaluates the old V^x with the wrong network. Without
 * the weight decay and the critics' larger learning rate of the release. Source confidence: exact (the authors' PDPPO.py).
 */
import { z } from "zod";
import { tokenMean } from "../algo/aggregate.js";
import { returnsWithinRows } from "../algo/returns.js";
import { maskedMean, maskedVariance } from "../algo/statistics.js";
import { squaredValueLoss } from "../algo/value-loss.js";
import { liveColumn, stepColumn } from "../slots/batch.js";
import { clipEpsilon, criticParams, entropyCoefficient, updateParams, updatePlan } from "./parts/params.js";
import type { Derive, RecipeDefinition, Term } from "../slots/recipe.js";
import { clipTerm, entropyTerm } from "./parts/terms.js";

const params = z.strictObject({
  ...updateParams,
  batchSteps: updateParams.batchSteps.default(600).describe("Environment steps of one batch"),
  epochs: updateParams.epochs.default(40).describe("Passes over each batch"),
  minibatches: updateParams.minibatches.default(1).describe("Minibatches of each pass"),
  learningRate: updateParams.learningRate.default(4e-4).describe("Adam's step size"),
  maxGradNorm: updateParams.maxGradNorm.default(1).describe("Global L2 norm to which gradients are clipped"),
  gamma: criticParams.gamma.default(0.991).describe("Discount per step, γ"),
  clipEpsilon: clipEpsilon.default(0.21).describe("Ratio clip ε"),
  valueCoefficient: criticParams.valueCoefficient.default(1).describe("Weight of the critics' loss"),
  entropyCoefficient: entropyCoefficient.default(0.012).describe("Weight c_e of the entropy bonus"),
});

function dualAdvantages(gamma: number): Derive {
  return {
    ...{ id: "dualAdvantages", when: "seal", writes: ["advantages", "returns"] },
    needs: ["rewards", "values", "postValues"],
    run(batch) {
      const { mask, offsets } = batch;
      const plain = returnsWithinRows({ rewards: stepColumn(batch, "rewards"), mask, offsets }, gamma);
      const mean = maskedMean(plain, mask);
      const scale = 1 / (Math.sqrt(maskedVariance(plain, mask)) + 1e-7);
      const returns = plain.map((x) => (x - mean) * scale);
      const [values, postValues] = [stepColumn(batch, "values"), stepColumn(batch, "postValues")];
      const advantages = returns.map((g, t) => g - Math.min(values[t]!, postValues[t]!));
      return { step: { advantages, returns } };
    },
  };
}

/** 1 where a critic's live value is the smaller one; V where they are equal. */
const smallerCritic: Derive = {
  ...{ id: "smallerCritic", when: "step", live: ["value", "postValue"], needs: [] },
  writes: ["valueIsSmaller", "postValueIsSmaller"],
  run(_batch, { live }) {
    const [values, postValues] = [liveColumn(live, "value"), liveColumn(live, "postValue")];
    const valueIsSmaller = values.map((v, t) => (v <= postValues[t]! ? 1 : 0));
    return { step: { valueIsSmaller, postValueIsSmaller: valueIsSmaller.map((x) => 1 - x) } };
  },
};

/** ½(x − Ĝ)² where x is the smaller critic, as a mean over all steps. */
function criticTerm(on: "value" | "postValue", coefficient: number): Term {
  const lossOf = squaredValueLoss();
  return {
    ...{ id: `${on}Loss`, on, coefficient, aggregator: tokenMean() },
    ...{ needs: ["returns"], weights: [`${on}IsSmaller`] },
    evaluate(values, batch, out) {
      lossOf({ values, oldValues: values, valueTargets: stepColumn(batch, "returns") }, out);
      return {};
    },
  };
}

export const pdppo: RecipeDefinition<z.output<typeof params>> = {
  id: "pdppo",
  summary: "PPO with a second critic, of post-decision states (Felizardo et al. 2025)",
  source: { confidence: "exact", checked: "the authors' PDPPO.py" },
  params,
  build: (p) => ({
    id: "pdppo",
    requires: ["groups", "value", "postDecision"],
    sampler: { batchSteps: p.batchSteps },
    evaluate: ["value", "postValue"],
    derive: [dualAdvantages(p.gamma), smallerCritic],
    terms: [
      clipTerm(p.clipEpsilon),
      criticTerm("value", p.valueCoefficient),
      criticTerm("postValue", p.valueCoefficient),
      entropyTerm(p.entropyCoefficient),
    ],
    trackers: {},
    update: updatePlan(p, "steps"),
  }),
};
