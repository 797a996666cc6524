/** Wall time by stage: always in exactly one, so that the counts add up to the time since the clock was made. */
import type { LabelledCounterHandle } from "./metrics.js";

export class StageClock<S extends string> {
  private since: number;

  /** `seconds` counts by stage; `now` gives seconds of a steady clock; begins in `stage`. */
  constructor(
    private readonly seconds: LabelledCounterHandle,
    private readonly now: () => number,
    private stage: S,
  ) {
    this.since = now();
  }

  enter(stage: S): void {
    this.count();
    this.stage = stage;
  }

  /** Counts the present stage up to now, which is otherwise done when it ends. */
  count(): void {
    const now = this.now();
    this.seconds.inc(this.stage, Math.max(0, now - this.since));
    this.since = now;
  }
}
