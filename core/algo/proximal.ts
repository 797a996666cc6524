/** The proximal policy of decoupled PPO, guessed where it is not computed. */
import { expectLength } from "../errors.js";

/**
 * ℓ^p ≈ ℓ^b + α·(ℓ − ℓ^b), α = (v_p − v_b)/(v_θ − v_b) (Fu et al. 2025, AReaL's log-linear approximation). The version
 * v_θ that is being made is one above the proximal v_p, so that α = lag/(lag + 1) with policyLag = v_p − v_b. Detached.
 * logprobs = ℓ, behaviorLogprobs = ℓ^b, nats, policyLags, versions ≥ 0; [N] each → [N].
 */
export function proximalLogprobs(input: {
  readonly logprobs: Float64Array;
  readonly behaviorLogprobs: Float64Array;
  readonly policyLags: Float64Array;
}): Float64Array {
  const { logprobs, behaviorLogprobs, policyLags } = input;
  expectLength("proximalLogprobs", "behaviorLogprobs", logprobs.length, behaviorLogprobs.length);
  expectLength("proximalLogprobs", "policyLags", logprobs.length, policyLags.length);
  return logprobs.map((logprob, t) => {
    const behavior = behaviorLogprobs[t]!;
    const lag = policyLags[t]!;
    return behavior + (lag / (lag + 1)) * (logprob - behavior);
  });
}
