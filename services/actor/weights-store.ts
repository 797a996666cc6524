/** The weights an actor's seats may use: the newest, and a few before it for runs that ask for an exact version. */
import type { WeightsSnapshot } from "../../core/types.js";
import type { VerifiedWeights } from "../../core/weights/payload.js";

export class WeightsStore {
  /** Oldest first. */
  private kept: readonly VerifiedWeights[] = [];
  private waiting: (() => void)[] = [];

  constructor(private readonly keep: number) {}

  /** −1 before the first. */
  get version(): number {
    return this.kept.at(-1)?.manifest.version ?? -1;
  }

  /** Of the newest; empty before the first. */
  get rootHash(): string {
    return this.kept.at(-1)?.manifest.rootHash ?? "";
  }

  /** `weights` must be newer than the newest. */
  put(weights: VerifiedWeights): void {
    this.kept = [...this.kept, weights].slice(-this.keep);
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** Those very weights, or null where they are not kept. */
  get(version: number): WeightsSnapshot | null {
    return this.kept.find(({ snapshot }) => snapshot.version === version)?.snapshot ?? null;
  }

  /** The newest weights once their version is at least `version`. */
  async atLeast(version: number): Promise<WeightsSnapshot> {
    for (;;) {
      const newest = this.kept.at(-1)?.snapshot;
      if (newest !== undefined && newest.version >= version) return newest;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}
