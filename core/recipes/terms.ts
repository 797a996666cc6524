/** Terms that methods share: policy, value and entropy. */
import type { Aggregator } from "../algo/aggregate.js";
import { tokenMean } from "../algo/aggregate.js";
import { entropyBonus } from "../algo/entropy.js";
import { approximateKl } from "../algo/kl.js";
import { sequenceLogRatios, tokenLogRatios } from "../algo/ratio.js";
import { explainedVariance, maskedMean } from "../algo/statistics.js";
import { clipFraction, type ClipEpsilon, type Surrogate } from "../algo/surrogates.js";
import { clippedValueLoss, squaredValueLoss } from "../algo/value-loss.js";
import { stepColumn } from "./batch.js";
import type { Term } from "./recipe.js";

export interface PolicyTermOptions {
  readonly surrogate: Surrogate;
  readonly aggregator: Aggregator;
  /** token = each step has its own ratio; sequence = all steps of a row have the row's (GSPO) */
  readonly ratio?: "token" | "sequence";
  /** What `clipFraction` counts beyond; null = the surrogate clips nothing. */
  readonly window: ClipEpsilon | null;
}

/** −A times what the surrogate makes of the ratio π/π_behaviour; reports `klK3` and `clipFraction`. */
export function policyTerm({ surrogate, aggregator, ratio = "token", window }: PolicyTermOptions): Term {
  return {
    id: "policyLoss",
    on: "logprob",
    coefficient: 1,
    aggregator,
    needs: ["advantages", "behaviorLogprobs"],
    evaluate(logprobs, batch, out) {
      const { mask, offsets } = batch;
      const behavior = stepColumn(batch, "behaviorLogprobs");
      const advantages = stepColumn(batch, "advantages");
      const ofTokens = tokenLogRatios(logprobs, behavior);
      const logRatios = ratio === "token" ? ofTokens : sequenceLogRatios(logprobs, behavior, mask, offsets);
      surrogate({ logprobs, logRatios, advantages }, out);
      return {
        klK3: approximateKl(ofTokens, mask),
        ...(window === null ? {} : { clipFraction: clipFraction(logRatios, advantages, mask, window) }),
      };
    },
  };
}

/** c_v·½(v − R)², clipped around the old value unless `valueClipEpsilon` is null; reports `explainedVariance`. */
export function valueTerm({
  valueClipEpsilon,
  valueCoefficient,
}: {
  readonly valueClipEpsilon: number | null;
  readonly valueCoefficient: number;
}): Term {
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

/** −c_e·H; reports `entropy`. */
export function entropyTerm(coefficient: number): Term {
  return {
    id: "entropyLoss",
    on: "entropy",
    coefficient,
    aggregator: tokenMean(),
    needs: [],
    evaluate(entropies, batch, out) {
      entropyBonus(entropies, out);
      return { entropy: maskedMean(entropies, batch.mask) };
    },
  };
}
