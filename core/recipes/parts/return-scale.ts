/**
 * Reward scaling by the running standard deviation of the discounted return ("The 37 implementation details of
 * PPO", continuous control, details 4 and 5): R_t = γ·R_{t−1} + r_t along each trajectory, r ← clip(r / std(R), ±10).
 */
import { initialMoments, observe, std, type RunningMoments } from "../../algo/running-moments.js";
import { clamp } from "../../algo/ratio.js";
import { stepColumn } from "../../slots/batch.js";
import type { Derive, Tracker } from "../../slots/recipe.js";

const CLIP = 10;

interface ReturnScale {
  readonly moments: RunningMoments;
  /** R of each trajectory that goes on in a later batch. */
  readonly carried: readonly (readonly [trajectory: number, discountedReturn: number])[];
}

export function returnScaleTracker(gamma: number): Tracker<ReturnScale> {
  return {
    initial: { moments: initialMoments, carried: [] },
    observe(state, batch) {
      const carried = new Map(state.carried);
      const rewards = stepColumn(batch, "rewards");
      const returns = new Float64Array(rewards.length);
      let chosen = 0;
      for (let i = 0; i + 1 < batch.offsets.length; i++) {
        const trajectory = batch.row["trajectory"]![i]!;
        let running = carried.get(trajectory) ?? 0;
        for (let t = batch.offsets[i]!; t < batch.offsets[i + 1]!; t++) {
          if (batch.mask[t] === 0) continue;
          running = gamma * running + rewards[t]!;
          returns[chosen++] = running;
        }
        const ended = batch.terminated[i] === 1 || batch.row["truncated"]![i] === 1;
        if (ended) carried.delete(trajectory);
        else carried.set(trajectory, running);
      }
      return { moments: observe(state.moments, returns.subarray(0, chosen)), carried: [...carried] };
    },
    read: (state) => ({ std: std(state.moments) }),
  };
}

/** Divides rewards by the reading `std` of the tracker named. */
export function scaleRewards(tracker: string): Derive {
  return {
    id: "scaleRewards",
    when: "seal",
    needs: ["rewards"],
    writes: ["rewards"],
    run(batch, { readings }) {
      const scale = 1 / ((readings[tracker]?.["std"] ?? 1) + 1e-8);
      return { step: { rewards: stepColumn(batch, "rewards").map((r) => clamp(r * scale, -CLIP, CLIP)) } };
    },
  };
}
