/**
 * Aggregators: how per-step losses become one number. loss = Σ_t κ_t·loss_t with κ_{i,t} = m_{i,t}·u(L_i) / Z, where
 * L_i = chosen steps of row i, u a row weight and Z a denominator made of sums over rows. Because Z is all that looks
 * beyond a row, a micro-batch given the totals of the whole batch aggregates exactly like its part of the whole.
 */
import { SkeinError, expectLength } from "../errors.js";
import { chosenPerRow } from "./arrays.js";

/** Sums over rows; add those of micro-batches for the whole batch. */
export interface AggregateTotals {
  /** N = Σ L_i, chosen steps */
  readonly tokens: number;
  /** B, all rows */
  readonly rows: number;
  /** rows with L_i > 0 */
  readonly activeRows: number;
  /** Σ u(L_i) over active rows */
  readonly rowWeights: number;
}

export interface Aggregator {
  readonly name: string;
  /** u(L) for L ≥ 1 */
  readonly rowWeight: (length: number) => number;
  /** Z */
  readonly denominator: (totals: AggregateTotals) => number;
}

const TOKEN_MEAN: Aggregator = {
  name: "token-mean",
  rowWeight: one,
  denominator: (totals) => totals.tokens,
};

/** κ = m/N: every chosen step counts the same (DAPO). */
export function tokenMean(): Aggregator {
  return TOKEN_MEAN;
}

/** κ = m/(L_i·B), B = rows with a chosen step: every row counts the same (GRPO, GSPO). */
export function seqMeanTokenMean(): Aggregator {
  return {
    name: "seq-mean-token-mean",
    rowWeight: (length) => 1 / length,
    denominator: (totals) => totals.activeRows,
  };
}

/** κ = m/B, B = all rows: sequence-level REINFORCE. */
export function seqMeanTokenSum(): Aggregator {
  return { name: "seq-mean-token-sum", rowWeight: one, denominator: (totals) => totals.rows };
}

/** κ = m/(B·Lmax), B = all rows, Lmax a constant such as the generation budget (Dr. GRPO, Liu et al. 2025). */
export function seqMeanTokenSumNorm(maxLength: number): Aggregator {
  return {
    name: "seq-mean-token-sum-norm",
    rowWeight: one,
    denominator: (totals) => totals.rows * maxLength,
  };
}

/**
 * κ = m·x_i/(B·W), x_i = L_i^(−α) / mean_j L_j^(−α) over the B rows with a chosen step (ΔL normalisation, 2025).
 * B cancels, so Z = W·Σ_j L_j^(−α). W is an explicit constant, the padded width in the paper's code.
 */
export function deltaL({ alpha, width }: { readonly alpha: number; readonly width: number }): Aggregator {
  return {
    name: "delta-l",
    rowWeight: (length) => length ** -alpha,
    denominator: (totals) => totals.rowWeights * width,
  };
}

/** κ = m/divisor: a plain sum (IMPALA, divisor 1), NFT's sum/1000, verl's seq-mean-token-sum-norm without 1/B. */
export function tokenSum(divisor: number): Aggregator {
  return { name: "token-sum", rowWeight: one, denominator: () => divisor };
}

/** By name: every step counts the same, or every row. */
export const MEANS = { "token-mean": tokenMean, "seq-mean-token-mean": seqMeanTokenMean } as const;

/** The sums of the rows given. mask [N], offsets [R+1]. */
export function aggregateTotals(
  aggregator: Aggregator,
  mask: Uint8Array,
  offsets: Uint32Array,
): AggregateTotals {
  return totalsOf(aggregator, chosenPerRow(mask, offsets));
}

function totalsOf(aggregator: Aggregator, lengths: Float64Array): AggregateTotals {
  let tokens = 0;
  let activeRows = 0;
  let rowWeights = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i]!;
    if (length === 0) continue;
    tokens += length;
    activeRows++;
    rowWeights += aggregator.rowWeight(length);
  }
  return { tokens, rows: lengths.length, activeRows, rowWeights };
}

/** The totals of two sets of rows together. */
export function addTotals(a: AggregateTotals, b: AggregateTotals): AggregateTotals {
  return {
    tokens: a.tokens + b.tokens,
    rows: a.rows + b.rows,
    activeRows: a.activeRows + b.activeRows,
    rowWeights: a.rowWeights + b.rowWeights,
  };
}

/**
 * κ [N]. `totals` are those of the whole batch where the rows given are a part of it; without them the rows given are
 * the whole. mask [N], offsets [R+1].
 */
export function aggregateWeights(
  aggregator: Aggregator,
  mask: Uint8Array,
  offsets: Uint32Array,
  totals?: AggregateTotals,
): Float64Array {
  const lengths = chosenPerRow(mask, offsets);
  const kappa = new Float64Array(mask.length);
  const denominator = aggregator.denominator(totals ?? totalsOf(aggregator, lengths));
  for (let i = 0; i < lengths.length; i++) {
    if (lengths[i] === 0) continue;
    if (!(denominator > 0)) {
      throw new SkeinError(
        "SHAPE",
        `aggregateWeights: expected a positive denominator for ${aggregator.name}, got ${denominator}; ` +
          "the totals must cover the rows given",
      );
    }
    const weight = aggregator.rowWeight(lengths[i]!) / denominator;
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) if (mask[t] === 1) kappa[t] = weight;
  }
  return kappa;
}

/** Σ_t weights_t·loss_t; a step of weight 0 contributes nothing, whatever its loss is. weights, loss [N]. */
export function weightedLoss(weights: Float64Array, loss: Float64Array): number {
  expectLength("weightedLoss", "loss", weights.length, loss.length);
  let sum = 0;
  for (let t = 0; t < weights.length; t++) if (weights[t] !== 0) sum += weights[t]! * loss[t]!;
  return sum;
}

/**
 * cotangent_t += coefficient·weights_t·gate_t: adds a term's ∂loss/∂x to that of the other terms on the same live
 * column. A step of weight 0 contributes nothing, whatever its gate is. weights [N]; cotangent, gate [N·width].
 */
export function addCotangent(
  cotangent: Float64Array,
  weights: Float64Array,
  gate: Float64Array,
  coefficient: number,
): void {
  expectLength("addCotangent", "gate", cotangent.length, gate.length);
  const width = weights.length === 0 ? 0 : cotangent.length / weights.length;
  expectLength("addCotangent", "weights", cotangent.length, weights.length * Math.trunc(width));
  for (let t = 0; t < weights.length; t++) {
    if (weights[t] === 0) continue;
    const factor = coefficient * weights[t]!;
    for (let k = t * width; k < (t + 1) * width; k++) cotangent[k]! += factor * gate[k]!;
  }
}

/** weights_t·factors_t into weights: folds importance weights or row weights into κ; denominators stay. All [N]. */
export function scaleWeights(weights: Float64Array, factors: Float64Array): void {
  expectLength("scaleWeights", "factors", weights.length, factors.length);
  for (let t = 0; t < weights.length; t++) if (weights[t] !== 0) weights[t]! *= factors[t]!;
}

function one(): number {
  return 1;
}
