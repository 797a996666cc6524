/**
 * Keeps the newest weights and a few older versions, and hands them to watchers, latest wins: a slow watcher
 * skips versions and never sees one go back.
 */
import { SkeinError } from "../../core/errors.js";
import type { WeightsSnapshot } from "../../core/types.js";

export class WeightsRegistry {
  private readonly kept = new Map<number, WeightsSnapshot>();
  private latest: WeightsSnapshot | null = null;
  private readonly waiting = new Set<() => void>();
  private watching = 0;

  /** `keep` ≥ 1 versions stay available to `fetch`. */
  constructor(private readonly keep: number) {}

  get version(): number {
    return this.latest?.version ?? -1;
  }

  get watchers(): number {
    return this.watching;
  }

  /** Publishing the newest version again is fine; an older one is REFUSED. */
  publish(snapshot: WeightsSnapshot): void {
    if (snapshot.version < this.version) {
      throw new SkeinError(
        "REFUSED",
        `publish weights: expected a version of at least ${this.version}, got ${snapshot.version}; is a second learner running?`,
      );
    }
    this.latest = snapshot;
    this.kept.set(snapshot.version, snapshot);
    for (const version of this.kept.keys()) {
      if (version <= snapshot.version - this.keep) this.kept.delete(version);
    }
    for (const wake of [...this.waiting]) wake();
  }

  /** A learner starts over from a checkpoint: versions above it are gone. */
  rewind(version: number): void {
    if (this.version <= version) return;
    this.kept.clear();
    this.latest = null;
  }

  fetch(version: number): WeightsSnapshot {
    const snapshot = this.kept.get(version);
    if (snapshot === undefined) {
      throw new SkeinError(
        "REFUSED",
        `fetch weights: version ${version} is not kept; available: ${[...this.kept.keys()].join(", ") || "none"}`,
      );
    }
    return snapshot;
  }

  async *watch(afterVersion: number, signal: AbortSignal): AsyncGenerator<WeightsSnapshot> {
    let seen = afterVersion;
    this.watching++;
    try {
      while (!signal.aborted) {
        if (this.latest !== null && this.latest.version > seen) {
          seen = this.latest.version;
          yield this.latest;
        } else {
          await this.change(signal);
        }
      }
    } finally {
      this.watching--;
    }
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
