/**
 * Policy-gradient surrogates φ(ρ, A): per step a loss and its derivative with respect to the live logprob.
 *
 * Convention: ρ = exp(logRatio) and dρ/dℓ = ρ, for token ratios and for sequence ratios broadcast to their tokens.
 * Advantages, old logprobs and everything written sg[·] are held constant. Losses are minimised. Where a step is
 * masked the numbers mean nothing; the aggregator gives it weight 0.
 */
import { expectLength } from "../errors.js";
import type { LossAndGate } from "./arrays.js";
import { clamp } from "./ratio.js";

export interface SurrogateInput {
  /** [N] ℓ, live logprob of the action taken, nats */
  readonly logprobs: Float64Array;
  /** [N] log ρ at the level the method wants: `tokenLogRatios` or `sequenceLogRatios` */
  readonly logRatios: Float64Array;
  /** [N] A, detached */
  readonly advantages: Float64Array;
}

/** Writes loss [N] and gate [N] = ∂loss/∂ℓ. */
export type Surrogate = (input: SurrogateInput, out: LossAndGate) => void;

/** The window [1 − low, 1 + high] around ρ = 1; `low: Infinity` has no lower bound. */
export interface ClipEpsilon {
  readonly low: number;
  readonly high: number;
}

/** loss = −A·ℓ, gate = −A (Williams 1992). Reads no ratio. */
export function reinforce(): Surrogate {
  return (input, out) => {
    const n = checkedLength("reinforce", input, out);
    const { logprobs, advantages } = input;
    for (let t = 0; t < n; t++) {
      out.loss[t] = -advantages[t]! * logprobs[t]!;
      out.gate[t] = -advantages[t]!;
    }
  };
}

/** loss = gate = −A·ρ: importance sampling without a clip, TRPO's surrogate (Schulman et al. 2015, eq. 14). */
export function importanceSampling(): Surrogate {
  return (input, out) => {
    const n = checkedLength("importanceSampling", input, out);
    const { logRatios, advantages } = input;
    for (let t = 0; t < n; t++) {
      const loss = -advantages[t]! * Math.exp(logRatios[t]!);
      out.loss[t] = loss;
      out.gate[t] = loss;
    }
  };
}

/**
 * loss = max(−A·ρ, −A·clip(ρ, 1−low, 1+high)); gate = 0 where the clipped branch is strictly larger, else −A·ρ
 * (Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7; low ≠ high: DAPO, Yu et al. 2025).
 * With `centres` c [N], detached, the window is [c − low, c + high] (ReMix, Liang et al. 2025: c = π_k/π_{k−i} for rows of
 * an older policy π_{k−i}, to which ρ is taken).
 */
export function ppoClip({ low, high }: ClipEpsilon, centres: Float64Array | null = null): Surrogate {
  return (input, out) => {
    const n = checkedLength("ppoClip", input, out);
    if (centres !== null) expectLength("ppoClip", "centres", n, centres.length);
    const { logRatios, advantages } = input;
    for (let t = 0; t < n; t++) {
      const advantage = advantages[t]!;
      const ratio = Math.exp(logRatios[t]!);
      const centre = centres === null ? 1 : centres[t]!;
      const unclipped = -advantage * ratio;
      const clipped = -advantage * clamp(ratio, centre - low, centre + high);
      const binds = clipped > unclipped;
      out.loss[t] = binds ? clipped : unclipped;
      out.gate[t] = binds ? 0 : unclipped;
    }
  };
}

/**
 * ppoClip, and where A < 0 also loss ≤ −A·c with gate 0 above that (Ye et al. 2020, "Mastering complex control in
 * MOBA games with deep reinforcement learning"). c > 1, usually 3.
 */
export function dualClip({ low, high, c }: ClipEpsilon & { readonly c: number }): Surrogate {
  const clip = ppoClip({ low, high });
  return (input, out) => {
    clip(input, out);
    const { advantages } = input;
    for (let t = 0; t < advantages.length; t++) {
      const ceiling = -advantages[t]! * c;
      if (advantages[t]! < 0 && out.loss[t]! > ceiling) {
        out.loss[t] = ceiling;
        out.gate[t] = 0;
      }
    }
  };
}

/**
 * loss = −(A·ρ − |A|·(ρ−1)²/(2ε)), gate = −ρ·(A − |A|·(ρ−1)/ε): a quadratic pull whose optimum is
 * ρ = 1 + sign(A)·ε (Xie et al. 2024, "Simple policy optimization").
 */
export function spo({ epsilon }: { readonly epsilon: number }): Surrogate {
  return (input, out) => {
    const n = checkedLength("spo", input, out);
    const { logRatios, advantages } = input;
    for (let t = 0; t < n; t++) {
      const advantage = advantages[t]!;
      const size = Math.abs(advantage);
      const ratio = Math.exp(logRatios[t]!);
      const excess = ratio - 1;
      out.loss[t] = -(advantage * ratio - (size * excess * excess) / (2 * epsilon));
      out.gate[t] = -ratio * (advantage - (size * excess) / epsilon);
    }
  };
}

/**
 * loss = −sg[clip(ρ, 1−low, 1+high)]·A·ℓ, gate = −clip(ρ, 1−low, 1+high)·A: the weight is clipped and no gradient
 * is dropped (CISPO, MiniMax-M1 2025). The canonical form has low = Infinity.
 */
export function cispo({ low, high }: ClipEpsilon): Surrogate {
  return (input, out) => {
    const n = checkedLength("cispo", input, out);
    const { logprobs, logRatios, advantages } = input;
    for (let t = 0; t < n; t++) {
      const gate = -clamp(Math.exp(logRatios[t]!), 1 - low, 1 + high) * advantages[t]!;
      out.loss[t] = gate * logprobs[t]!;
      out.gate[t] = gate;
    }
  };
}

/**
 * loss = −A·(4/τ)·σ(τ(ρ−1)), gate = −A·4·σ'(τ(ρ−1))·ρ: a soft gate in place of a clip, 1 at ρ = 1 and falling off on
 * either side; τ is one number where A > 0 and another elsewhere (SAPO, Gao et al. 2025).
 */
export function softGate({
  positive,
  negative,
}: {
  readonly positive: number;
  readonly negative: number;
}): Surrogate {
  return (input, out) => {
    const n = checkedLength("softGate", input, out);
    const { logRatios, advantages } = input;
    for (let t = 0; t < n; t++) {
      const advantage = advantages[t]!;
      const tau = advantage > 0 ? positive : negative;
      const ratio = Math.exp(logRatios[t]!);
      const sigmoid = 1 / (1 + Math.exp(-tau * (ratio - 1)));
      out.loss[t] = (-advantage * 4 * sigmoid) / tau;
      out.gate[t] = -advantage * 4 * sigmoid * (1 - sigmoid) * ratio;
    }
  };
}

/** Whether ppoClip removes the gradient of a step: ρ beyond the window on the side A pushes towards. */
export function isClipped(ratio: number, advantage: number, { low, high }: ClipEpsilon): boolean {
  return advantage > 0 ? ratio > 1 + high : advantage < 0 && ratio < 1 - low;
}

/**
 * The fraction of chosen steps whose gradient ppoClip removes (verl `pg_clipfrac`). logRatios, advantages, mask [N] →
 * number in [0, 1].
 */
export function clipFraction(
  logRatios: Float64Array,
  advantages: Float64Array,
  mask: Uint8Array,
  window: ClipEpsilon,
): number {
  expectLength("clipFraction", "advantages", logRatios.length, advantages.length);
  return fractionWhere("clipFraction", logRatios, mask, (ratio, t) =>
    isClipped(ratio, advantages[t]!, window),
  );
}

/** The fraction of chosen steps with ρ outside the window, whatever A is (cleanrl and Stable-Baselines3 `clipfrac`). */
export function outsideFraction(
  logRatios: Float64Array,
  mask: Uint8Array,
  { low, high }: ClipEpsilon,
): number {
  return fractionWhere("outsideFraction", logRatios, mask, (ratio) => ratio > 1 + high || ratio < 1 - low);
}

function fractionWhere(
  where: string,
  logRatios: Float64Array,
  mask: Uint8Array,
  holds: (ratio: number, step: number) => boolean,
): number {
  expectLength(where, "mask", logRatios.length, mask.length);
  let hits = 0;
  let count = 0;
  for (let t = 0; t < mask.length; t++) {
    if (mask[t] === 0) continue;
    count++;
    if (holds(Math.exp(logRatios[t]!), t)) hits++;
  }
  return count === 0 ? 0 : hits / count;
}

function checkedLength(where: string, input: SurrogateInput, out: LossAndGate): number {
  const n = input.logprobs.length;
  expectLength(where, "logRatios", n, input.logRatios.length);
  expectLength(where, "advantages", n, input.advantages.length);
  expectLength(where, "loss", n, out.loss.length);
  expectLength(where, "gate", n, out.gate.length);
  return n;
}
