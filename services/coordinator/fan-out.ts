/**
 * Who takes weights from whom: a tree over the watchers, the coordinator at its root, in which nobody hands on to
 * more than `fanOut` others. Watchers that relay come first, by place; watchers that do not are leaves.
 */

export interface Watcher {
  /** Where it hands weights on; empty = it does not. */
  readonly relayAddress: string;
  /** Among the watchers of its kind. */
  place: number;
}

export class FanOut {
  private readonly relays: Watcher[] = [];
  private readonly leaves: Watcher[] = [];

  /** 0 = everybody takes weights from the coordinator. */
  constructor(private readonly fanOut: number) {}

  get size(): number {
    return this.relays.length + this.leaves.length;
  }

  join(relayAddress: string): Watcher {
    const kind = relayAddress === "" ? this.leaves : this.relays;
    const watcher = { relayAddress, place: kind.length };
    kind.push(watcher);
    return watcher;
  }

  /** The last of its kind takes the place that becomes free: nobody else moves. */
  leave(watcher: Watcher): void {
    const kind = watcher.relayAddress === "" ? this.leaves : this.relays;
    const last = kind.pop()!;
    if (last === watcher) return;
    last.place = watcher.place;
    kind[watcher.place] = last;
  }

  /** Address of the relay to fetch from; empty = the coordinator, also where there are too few relays. */
  sourceOf({ relayAddress, place }: Watcher): string {
    if (this.fanOut === 0) return "";
    const position = relayAddress === "" ? this.relays.length + place : place;
    const parent = Math.floor(position / this.fanOut) - 1;
    return this.relays[parent]?.relayAddress ?? "";
  }
}
