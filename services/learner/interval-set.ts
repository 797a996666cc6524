/**
 * A set of whole numbers from 0, kept as merged intervals: numbers that come about in order cost nothing. Looking up
 * is O(log n) in the intervals n; adding at the end as well, adding elsewhere moves what lies above.
 */

/** First and last number, both in it. */
export type Interval = readonly [first: number, last: number];

export class IntervalSet {
  /** Strictly rising, never adjacent. */
  private readonly firsts: number[] = [];
  private readonly lasts: number[] = [];

  constructor(intervals: Iterable<Interval> = []) {
    for (const [first, last] of intervals) {
      this.firsts.push(first);
      this.lasts.push(last);
    }
  }

  /** Lowest first. */
  get intervals(): Interval[] {
    return this.firsts.map((first, k) => [first, this.lasts[k]!]);
  }

  has(value: number): boolean {
    const k = this.below(value);
    return k >= 0 && this.lasts[k]! >= value;
  }

  add(value: number): void {
    const k = this.below(value);
    if (k >= 0 && this.lasts[k]! >= value) return;
    const joinsBelow = k >= 0 && this.lasts[k] === value - 1;
    const joinsAbove = this.firsts[k + 1] === value + 1;
    if (joinsBelow && joinsAbove) {
      this.lasts[k] = this.lasts[k + 1]!;
      this.firsts.splice(k + 1, 1);
      this.lasts.splice(k + 1, 1);
    } else if (joinsBelow) {
      this.lasts[k] = value;
    } else if (joinsAbove) {
      this.firsts[k + 1] = value;
    } else {
      this.firsts.splice(k + 1, 0, value);
      this.lasts.splice(k + 1, 0, value);
    }
  }

  /** The last interval that does not begin above `value`; −1 = none. */
  private below(value: number): number {
    let low = 0;
    let high = this.firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.firsts[middle]! <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
