/** Which weights were published: the newest manifests, in the books. The weights themselves are elsewhere. */
import type { Statement, Store } from "./store.js";

export interface PublishedWeights {
  readonly version: number;
  /** As the learner published it, JSON. */
  readonly manifest: string;
  readonly publishedUnixMs: number;
}

const KEPT = 100;

export class WeightsLog {
  private readonly write: Statement<never>;
  private readonly prune: Statement<never>;
  private readonly read: Statement<PublishedWeights>;

  constructor(store: Store) {
    this.write = store.prepare("INSERT OR REPLACE INTO weights VALUES (?, ?, ?)");
    this.prune = store.prepare("DELETE FROM weights WHERE version <= ?");
    this.read = store.prepare("SELECT * FROM weights ORDER BY version DESC LIMIT ?");
  }

  record(version: number, manifest: object): void {
    this.write.run(version, JSON.stringify(manifest), Date.now());
    this.prune.run(version - KEPT);
  }

  /** Newest first. */
  newest(count: number): PublishedWeights[] {
    return this.read.all(count);
  }
}
