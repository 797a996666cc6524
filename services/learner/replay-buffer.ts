/** Rollouts of the last batches, to be trained on again. Not in checkpoints: a learner that resumes begins without. */
import type { Random } from "../../core/random.js";
import type { Replay } from "../../core/slots/recipe.js";
import { stepCount, type Rollout } from "../../core/types.js";

const stepsOf = (rollouts: readonly Rollout[]): number =>
  rollouts.reduce((sum, { columns }) => sum + stepCount(columns), 0);

/** Rollouts that are one group, or one seat's fragment, each. */
function unitsOf(rollouts: readonly Rollout[]): Rollout[][] {
  const units = new Map<string, Rollout[]>();
  for (const rollout of rollouts) {
    const key = `${rollout.task}/${rollout.group}`;
    const unit = units.get(key);
    if (unit === undefined) units.set(key, [rollout]);
    else unit.push(rollout);
  }
  return [...units.values()];
}

export class ReplayBuffer {
  /** Newest last. */
  private readonly batches: (readonly Rollout[])[] = [];

  constructor(private readonly plan: Replay) {}

  /** Whole units drawn without replacement from the batches remembered, about `share` of the steps of `fresh`; then remembers `fresh`. */
  draw(fresh: readonly Rollout[], random: Random): Rollout[] {
    const { batches, share } = this.plan;
    const units = this.batches.flatMap(unitsOf);
    const order = Uint32Array.from(units, (_, i) => i);
    random.shuffle(order);
    const wanted = share * stepsOf(fresh);
    const drawn: Rollout[] = [];
    for (let k = 0, steps = 0; k < order.length && steps < wanted; k++) {
      const unit = units[order[k]!]!;
      drawn.push(...unit);
      steps += stepsOf(unit);
    }
    this.batches.push(fresh);
    if (this.batches.length > batches) this.batches.shift();
    return drawn;
  }
}
