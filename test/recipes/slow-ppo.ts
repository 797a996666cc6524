/** PPO on plain numbers, straight from the papers' formulas, sharing nothing with core/: the oracle of ppo.test.ts. */
import type { Batch } from "../../core/slots/batch.js";

export interface SlowParams {
  readonly gamma: number;
  readonly lambda: number;
  readonly clipEpsilon: number;
  readonly valueClipEpsilon: number | null;
  readonly valueCoefficient: number;
  readonly entropyCoefficient: number;
  readonly normalizeAdvantages: boolean;
}

/** Â_t = Σ_l (γλ)^l δ_{t+l} over the chosen steps of each row; NaN for steps the policy did not choose. */
export function slowAdvantages(batch: Batch, { gamma, lambda }: SlowParams): number[] {
  const out = new Array<number>(batch.inputs.steps).fill(NaN);
  const { rewards, values } = batch.step;
  for (let i = 0; i + 1 < batch.offsets.length; i++) {
    const chosen: number[] = [];
    for (let t = batch.offsets[i]!; t < batch.offsets[i + 1]!; t++) if (batch.mask[t] === 1) chosen.push(t);
    const afterEnd = batch.terminated[i] === 1 ? 0 : batch.row["bootstrapValues"]![i]!;
    const deltas = chosen.map((t, k) => {
      const next = k + 1 < chosen.length ? values![chosen[k + 1]!]! : afterEnd;
      return rewards![t]! + gamma * next - values![t]!;
    });
    chosen.forEach((t, k) => {
      out[t] = deltas.slice(k).reduce((sum, delta, l) => sum + (gamma * lambda) ** l * delta, 0);
    });
  }
  return out;
}

export interface SlowMinibatch {
  readonly mask: readonly number[];
  readonly oldLogprobs: readonly number[];
  readonly oldValues: readonly number[];
  readonly advantages: readonly number[];
  readonly returns: readonly number[];
}

export interface Live {
  readonly logprob: readonly number[];
  readonly value: readonly number[];
  readonly entropy: readonly number[];
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

/** (A − mean) / (std + 1e-8) with the n−1 standard deviation, over chosen steps. */
export function slowNormalized(advantages: readonly number[], mask: readonly number[]): number[] {
  const chosen = advantages.filter((_, t) => mask[t] === 1);
  const centre = mean(chosen);
  const std =
    chosen.length < 2
      ? 0
      : Math.sqrt(chosen.reduce((s, a) => s + (a - centre) ** 2, 0) / (chosen.length - 1));
  return advantages.map((a) => (a - centre) / (std + 1e-8));
}

/** policy loss + c_v · value loss − c_e · mean entropy, each a mean over chosen steps. */
export function slowLoss(minibatch: SlowMinibatch, live: Live, params: SlowParams): number {
  const advantages = params.normalizeAdvantages
    ? slowNormalized(minibatch.advantages, minibatch.mask)
    : minibatch.advantages;
  const { clipEpsilon, valueClipEpsilon } = params;
  const steps = minibatch.mask.map((m, t) => ({ m, t })).filter(({ m }) => m === 1);
  const policy = steps.map(({ t }) => {
    const ratio = Math.exp(live.logprob[t]! - minibatch.oldLogprobs[t]!);
    const clipped = Math.min(Math.max(ratio, 1 - clipEpsilon), 1 + clipEpsilon);
    return -Math.min(ratio * advantages[t]!, clipped * advantages[t]!);
  });
  const value = steps.map(({ t }) => {
    const [v, old, target] = [live.value[t]!, minibatch.oldValues[t]!, minibatch.returns[t]!];
    const plain = (v - target) ** 2;
    if (valueClipEpsilon === null) return 0.5 * plain;
    const clipped = old + Math.min(Math.max(v - old, -valueClipEpsilon), valueClipEpsilon);
    return 0.5 * Math.max(plain, (clipped - target) ** 2);
  });
  const entropy = steps.map(({ t }) => live.entropy[t]!);
  return mean(policy) + params.valueCoefficient * mean(value) - params.entropyCoefficient * mean(entropy);
}

/** Steps where no derivative exists nearby: within `margin` of a clip edge or of two equal branches. */
export function nearKink(
  minibatch: SlowMinibatch,
  live: Live,
  params: SlowParams,
  t: number,
  margin: number,
): boolean {
  const ratio = Math.exp(live.logprob[t]! - minibatch.oldLogprobs[t]!);
  if (Math.abs(Math.abs(ratio - 1) - params.clipEpsilon) < margin) return true;
  const epsilon = params.valueClipEpsilon;
  if (epsilon === null) return false;
  const [v, old, target] = [live.value[t]!, minibatch.oldValues[t]!, minibatch.returns[t]!];
  const clipped = old + Math.min(Math.max(v - old, -epsilon), epsilon);
  const distances = [
    Math.abs(v - old) - epsilon,
    clipped === v ? 1 : Math.abs(v - target) - Math.abs(clipped - target),
  ];
  return distances.some((distance) => Math.abs(distance) < margin);
}
