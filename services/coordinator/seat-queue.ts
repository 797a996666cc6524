/** Seats that wait for work, first come first served, each until its time is over. */

interface Waiter<T> {
  readonly offer: () => T | null;
  readonly done: (value: T | null) => void;
}

export class SeatQueue<T> {
  private readonly waiters = new Set<Waiter<T>>();

  get length(): number {
    return this.waiters.size;
  }

  /** What `offer` gives once it gives something; null after `milliseconds`. */
  wait(offer: () => T | null, milliseconds: number): Promise<T | null> {
    return new Promise((resolve) => {
      const waiter: Waiter<T> = {
        offer,
        done: (value) => {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve(value);
        },
      };
      const timer = setTimeout(() => waiter.done(null), Math.max(0, milliseconds));
      this.waiters.add(waiter);
    });
  }

  /** Asks again for each, in order; where all are alike, until there is nothing for one of them. */
  serve(alike: boolean): void {
    for (const waiter of this.waiters) {
      const value = waiter.offer();
      if (value !== null) waiter.done(value);
      else if (alike) return;
    }
  }
}
