/** Growth per second of a counter over the last few seconds. */
const WINDOW_SECONDS = 5;

export class Rate {
  private readonly samples: { readonly at: number; readonly value: number }[] = [];

  /** `now` in seconds of a steady clock. */
  constructor(private readonly now: () => number) {}

  add(value: number): void {
    const at = this.now();
    this.samples.push({ at, value });
    while (this.samples.length > 2 && at - this.samples[1]!.at > WINDOW_SECONDS) this.samples.shift();
  }

  /** NaN until two samples are there. */
  get perSecond(): number {
    const first = this.samples[0];
    const last = this.samples[this.samples.length - 1];
    if (first === undefined || last === undefined || last.at === first.at) return Number.NaN;
    return (last.value - first.value) / (last.at - first.at);
  }
}
