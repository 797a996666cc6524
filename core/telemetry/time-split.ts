/** Splits the time of a loop into parts of which exactly one runs at any moment: together they are the wall time. */
import type { LabelledCounterHandle } from "./metrics.js";

export class TimeSplit<Part extends string> {
  private since: number;

  /** Begins in `part`. `now` in seconds of a steady clock, as is what `counter` counts by part. */
  constructor(
    private readonly counter: LabelledCounterHandle,
    private readonly now: () => number,
    private part: Part,
  ) {
    this.since = now();
  }

  /** The part that runs ends, and `part` begins. */
  enter(part: Part): void {
    const at = this.now();
    this.counter.inc(this.part, Math.max(0, at - this.since));
    this.since = at;
    this.part = part;
  }

  /** Counts the part that runs up to now: to be called now and then, where one may last. */
  flush(): void {
    this.enter(this.part);
  }
}
