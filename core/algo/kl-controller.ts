/** Controllers of a KL coefficient β: pure steps, old β and a measured KL (nats) to new β. */
import { clamp } from "./ratio.js";

/**
 * Proportional control (Ziegler et al. 2019, "Fine-tuning language models from human preferences", §2.2):
 *
 *   β ← β·(1 + clip(KL/target − 1, −0.2, 0.2)·n/horizon),   n = samples the KL was measured on.
 */
export function proportionalKlStep(
  beta: number,
  measured: { readonly kl: number; readonly samples: number },
  parameters: { readonly target: number; readonly horizon: number },
): number {
  const error = clamp(measured.kl / parameters.target - 1, -0.2, 0.2);
  return beta * (1 + (error * measured.samples) / parameters.horizon);
}

/** β/2 where KL < target/1.5, 2β where KL > 1.5·target, else β (Schulman et al. 2017, PPO, §4). */
export function doublingKlStep(beta: number, kl: number, target: number): number {
  if (kl < target / 1.5) return beta / 2;
  return kl > 1.5 * target ? beta * 2 : beta;
}
