/** The weights an actor holds: the newest, and a few before it for runs that ask for an exact version. */
import type { WeightsSnapshot } from "../../core/types.js";

export class WeightsStore {
  private readonly kept = new Map<number, WeightsSnapshot>();
  private newest: WeightsSnapshot | null = null;
  private waiting: (() => void)[] = [];

  constructor(private readonly keep: number) {}

  /** −1 before the first. */
  get version(): number {
    return this.newest?.version ?? -1;
  }

  put(weights: WeightsSnapshot): void {
    this.newest = weights;
    this.kept.set(weights.version, weights);
    for (const version of this.kept.keys()) {
      if (version <= weights.version - this.keep || version > weights.version) this.kept.delete(version);
    }
    const woken = this.waiting;
    this.waiting = [];
    for (const wake of woken) wake();
  }

  /** Forgets everything: versions may begin again below those held. */
  clear(): void {
    this.kept.clear();
    this.newest = null;
  }

  /** Those very weights, or null where they are not kept. */
  get(version: number): WeightsSnapshot | null {
    return this.kept.get(version) ?? null;
  }

  /** The newest weights once their version is at least `version`. */
  async atLeast(version: number): Promise<WeightsSnapshot> {
    while (this.newest === null || this.newest.version < version) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    return this.newest;
  }
}
