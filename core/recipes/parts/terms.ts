/** Terms that methods share: policy, value and entropy. */
import type { Aggregator } from "../../algo/aggregate.js";
import { tokenMean } from "../../algo/aggregate.js";
import { entropyBonus } from "../../algo/entropy.js";
import { approximateKl, klK3, type KlEstimator } from "../../algo/kl.js";
import { entropyBand } from "../../algo/entropy-band.js";
import { categoricalKl, gaussianKl } from "../../algo/policy-kl.js";
import { sequenceLogRatios, tokenLogRatios } from "../../algo/ratio.js";
import { explainedVariance, maskedMean } from "../../algo/statistics.js";
import { clipFraction, ppoClip, type ClipEpsilon, type Surrogate } from "../../algo/surrogates.js";
import { clippedValueLoss, squaredValueLoss } from "../../algo/value-loss.js";
import { selectedMask, stepColumn, type Batch } from "../../slots/batch.js";
import type { Term } from "../../slots/recipe.js";

export interface PolicyTermOptions extends Pick<Term, "weights" | "select"> {
  readonly id?: string;
  readonly surrogate: Surrogate;
  readonly aggregator: Aggregator;
  /** token = each step has its own ratio; sequence = all steps of a row have the row's (GSPO) */
  readonly ratio?: "token" | "sequence";
  /** What `clipFraction` counts beyond; null = the surrogate clips nothing. */
  readonly window: ClipEpsilon | null;
  /** The step column that A is; absent = `advantages` */
  readonly advantages?: string;
}

/** −A times what the surrogate makes of the ratio π/π_old; reports `klK3` and `clipFraction`. */
export function policyTerm({
  id = "policyLoss",
  surrogate,
  aggregator,
  ratio = "token",
  window,
  advantages: column = "advantages",
  ...rest
}: PolicyTermOptions): Term {
  return {
    ...{ id, on: "logprob", coefficient: 1, aggregator, ...rest },
    needs: [column, "oldLogprobs"],
    evaluate(logprobs, batch, out) {
      const { mask, offsets } = batch;
      const old = stepColumn(batch, "oldLogprobs");
      const advantages = stepColumn(batch, column);
      const ofTokens = tokenLogRatios(logprobs, old);
      const logRatios = ratio === "token" ? ofTokens : sequenceLogRatios(logprobs, old, mask, offsets);
      surrogate({ logprobs, logRatios, advantages }, out);
      return {
        klK3: approximateKl(ofTokens, mask),
        ...(window === null ? {} : { clipFraction: clipFraction(logRatios, advantages, mask, window) }),
      };
    },
  };
}

/** `policyTerm` of ppoClip in [1 − ε, 1 + ε], as a mean over steps. */
export function clipTerm(epsilon: number, rest: Pick<PolicyTermOptions, "select"> = {}): Term {
  const window = { low: epsilon, high: epsilon };
  return policyTerm({ surrogate: ppoClip(window), aggregator: tokenMean(), window, ...rest });
}

/** c_v·½(v − R)², clipped around the old value unless `valueClipEpsilon` is null; reports `explainedVariance`. */
export function valueTerm(
  {
    valueClipEpsilon,
    valueCoefficient,
  }: { readonly valueClipEpsilon: number | null; readonly valueCoefficient: number },
  { aggregator = tokenMean(), select }: { aggregator?: Aggregator; select?: string } = {},
): Term {
  const lossOf =
    valueClipEpsilon === null ? squaredValueLoss() : clippedValueLoss({ epsilon: valueClipEpsilon });
  return {
    id: "valueLoss",
    on: "value",
    coefficient: valueCoefficient,
    aggregator,
    ...(select === undefined ? {} : { select }),
    needs: ["values", "returns"],
    evaluate(values, batch, out) {
      const valueTargets = stepColumn(batch, "returns");
      lossOf({ values, oldValues: stepColumn(batch, "values"), valueTargets }, out);
      return { explainedVariance: explainedVariance(values, valueTargets, selectedMask(batch, select)) };
    },
  };
}

export interface KlTermOptions extends Pick<
  Term,
  "id" | "coefficient" | "aggregator" | "weights" | "select"
> {
  readonly estimator: KlEstimator;
  /** The step column of the policy that is compared with. */
  readonly to: string;
}

/** β·k(π ‖ π_to) by the estimator given. */
export function klTerm({ estimator, to, ...rest }: KlTermOptions): Term {
  return {
    ...{ on: "logprob", needs: [to], ...rest },
    evaluate(logprobs, batch, out) {
      estimator({ logprobs, refLogprobs: stepColumn(batch, to) }, out);
      return {};
    },
  };
}

export const REFERENCE_KL = "referenceKl";

/** β·k(π ‖ π_reference), k3 unless said otherwise: unbiased in value (Schulman 2020); reports `referenceKl`. */
export function referenceKlTerm(
  coefficient: Term["coefficient"],
  aggregator: Aggregator,
  rest: Partial<Pick<KlTermOptions, "weights" | "select" | "estimator">> = {},
): Term {
  const to = "referenceLogprobs";
  return klTerm({ id: REFERENCE_KL, estimator: klK3, to, coefficient, aggregator, ...rest });
}

/** β·KL(π_sealed ‖ π), exact, where `policies` are of the policy that sealed the batch; a recipe of it requires exactKl. */
export function policyKlTerm(coefficient: Term["coefficient"]): Term {
  return {
    ...{ id: "policyKl", on: "policy", coefficient, aggregator: tokenMean(), needs: ["policies"] },
    evaluate(policies, batch, out) {
      const exactKl = batch.inputs.actions instanceof Int32Array ? categoricalKl : gaussianKl;
      exactKl({ policies, oldPolicies: stepColumn(batch, "policies") }, out);
      return {};
    },
  };
}

/** The term, which also reports what `more` makes of the batch and of its loss [N]. */
export function reporting(
  term: Term,
  more: (batch: Batch, loss: Float64Array) => Readonly<Record<string, number>>,
): Term {
  return {
    ...term,
    evaluate: (live, batch, out) => ({ ...term.evaluate(live, batch, out), ...more(batch, out.loss) }),
  };
}

/** −c_e·H; reports `entropy`. */
export function entropyTerm(coefficient: number, aggregator = tokenMean()): Term {
  return {
    id: "entropyLoss",
    on: "entropy",
    coefficient,
    aggregator,
    needs: [],
    evaluate(entropies, batch, out) {
      entropyBonus(entropies, out);
      return { entropy: maskedMean(entropies, batch.mask) };
    },
  };
}

/** −c_e·H, or no term where c_e = 0. */
export function bonusForEntropy(p: { readonly entropyCoefficient: number }): Term[] {
  return p.entropyCoefficient > 0 ? [entropyTerm(p.entropyCoefficient)] : [];
}

/** β·hinge that keeps H between the step columns `entropyLow` and `entropyHigh`. */
export function bandTerm(coefficient: Term["coefficient"], rest: Pick<Term, "select"> = {}): Term {
  return {
    ...{ id: "entropyBand", on: "entropy", coefficient, aggregator: tokenMean(), ...rest },
    needs: ["entropyLow", "entropyHigh"],
    evaluate(entropies, batch, out) {
      const [low, high] = [stepColumn(batch, "entropyLow"), stepColumn(batch, "entropyHigh")];
      entropyBand({ entropies, low, high }, out);
      return {};
    },
  };
}
