/** How often one connection may call: a token bucket each, which holds one second's worth. */

interface Bucket {
  /** Calls that may be made at once. */
  left: number;
  /** Milliseconds of a steady clock. */
  filledAt: number;
}

/** Buckets beyond which full ones are forgotten: a full bucket says no more than none. */
const MOST_IDLE = 1024;

export class CallRate {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly perSecond: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Connections remembered: those that called within the last second, and at most 1024 others. */
  get size(): number {
    return this.buckets.size;
  }

  /** Counts a call of `peer`, and says whether it may be made. */
  allows(peer: string): boolean {
    const now = this.now();
    let bucket = this.buckets.get(peer);
    if (bucket === undefined) {
      if (this.buckets.size >= MOST_IDLE) this.forgetFull(now);
      bucket = { left: this.perSecond, filledAt: now };
      this.buckets.set(peer, bucket);
    }
    const filled = bucket.left + ((now - bucket.filledAt) / 1000) * this.perSecond;
    bucket.left = Math.min(this.perSecond, filled);
    bucket.filledAt = now;
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  private forgetFull(now: number): void {
    for (const [peer, { filledAt }] of this.buckets) if (now - filledAt >= 1000) this.buckets.delete(peer);
  }
}
