/** Which weights were published: the newest manifests, in the books. The weights themselves are elsewhere. */
import type { WeightsDelivery } from "../../core/transport/transport.js";
import { modeOf } from "../../core/weights/manifest.js";
import type { Statement, Store } from "./store.js";

export interface PublishedWeights {
  readonly version: number;
  readonly rootHash: string;
  /** The form in which the learner published them. */
  readonly mode: "full" | "delta";
  readonly payloadBytes: number;
  /** JSON. */
  readonly manifest: string;
  readonly publishedUnixMs: number;
}

const KEPT = 100;

export class WeightsLog {
  private readonly write: Statement<never>;
  private readonly prune: Statement<never>;
  private readonly read: Statement<PublishedWeights>;

  constructor(store: Store) {
    this.write = store.prepare("INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?, ?)");
    this.prune = store.prepare("DELETE FROM weights WHERE version <= ?");
    this.read = store.prepare("SELECT * FROM weights ORDER BY version DESC LIMIT ?");
  }

  record({ manifest, payload }: WeightsDelivery): void {
    const { version, rootHash } = manifest;
    const json = JSON.stringify(manifest);
    this.write.run(version, rootHash, modeOf(manifest), payload.byteLength, json, Date.now());
    this.prune.run(version - KEPT);
  }

  /** Newest first. */
  newest(count: number): PublishedWeights[] {
    return this.read.all(count);
  }
}
