/**
 * The newest weights and a few versions before them, verified, and who watches them. Latest wins: a slow watcher
 * skips versions and never sees one go back. A version and its root hash mean the same weights for the whole run.
 */
import { SkeinError } from "../../core/errors.js";
import type {
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../../core/transport/transport.js";
import type { WeightsManifest } from "../../core/types.js";
import { verifyWeights } from "../../core/weights/payload.js";
import { WeightsShelf, type DeltaSettings } from "../../core/weights/shelf.js";
import { FanOut } from "./fan-out.js";

export interface RegistryOptions {
  /** Versions that stay available to `fetch`, at least 1. */
  readonly keep: number;
  readonly weights: DeltaSettings & { readonly fanOut: number };
  /** Newest that the run ever published, its payload forgotten; null = none. */
  readonly restored: Pick<WeightsManifest, "version" | "rootHash"> | null;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

export class WeightsRegistry {
  private readonly shelf: WeightsShelf;
  private readonly tree: FanOut;
  private readonly waiting = new Set<() => void>();
  private newest: RegistryOptions["restored"];
  private publishedAt = 0;

  constructor(private readonly options: RegistryOptions) {
    this.shelf = new WeightsShelf(options.keep, options.weights);
    this.tree = new FanOut(options.weights.fanOut);
    this.newest = options.restored;
  }

  /** Newest ever published; −1 = none. */
  get version(): number {
    return this.newest?.version ?? -1;
  }

  get watchers(): number {
    return this.tree.size;
  }

  /** Of a version that is kept, else null. */
  rootHashOf(version: number): string | null {
    return this.shelf.get(version)?.manifest.rootHash ?? null;
  }

  /**
   * Publishing the newest version again is fine. Throws REFUSED for an older one, for other weights under its number
   * and for a delta whose parent is not kept, MESSAGE_CORRUPT where the payload does not make what its manifest says.
   */
  publish(delivery: WeightsDelivery): void {
    const { version, parent, rootHash } = delivery.manifest;
    if (version < this.version) {
      const advice = "is a second learner running?";
      throw refused(version, `expected a version of at least ${this.version}: ${advice}`);
    }
    if (version === this.version && rootHash !== this.newest?.rootHash) {
      const advice = "a learner that has gone back must go on above it";
      throw refused(version, `it was published with root hash ${this.newest?.rootHash}: ${advice}`);
    }
    if (version === this.shelf.version) return;
    const base = parent === null ? null : this.shelf.get(parent);
    if (parent !== null && base === null) {
      throw refused(version, `its parent ${parent} is not kept: publish it in full`);
    }
    this.shelf.put(verifyWeights(delivery, rootHash, base));
    this.newest = { version, rootHash };
    this.publishedAt = this.options.now();
    for (const wake of [...this.waiting]) wake();
  }

  /** Throws REFUSED where no version from `oldest` to `version` is kept. */
  fetch(request: WeightsRequest): WeightsDelivery {
    const found = this.shelf.find(request);
    if (found !== null) return found;
    const { oldest, version } = request;
    const wanted = oldest === version ? `version ${version}` : `a version from ${oldest} to ${version}`;
    const available = this.shelf.versions.join(", ") || "none";
    throw new SkeinError("REFUSED", `fetch weights: ${wanted} is not kept; available: ${available}`);
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WeightsAnnouncement> {
    let seen = request.afterVersion;
    const watcher = this.tree.join(request.relayAddress);
    try {
      while (!signal.aborted) {
        const newest = this.shelf.newest?.manifest;
        if (newest !== undefined && newest.version > seen) {
          const { version, rootHash } = newest;
          seen = version;
          const ageSeconds = (this.options.now() - this.publishedAt) / 1000;
          yield { version, rootHash, source: this.tree.sourceOf(watcher), ageSeconds };
        } else {
          await this.change(signal);
        }
      }
    } finally {
      this.tree.leave(watcher);
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

function refused(version: number, why: string): SkeinError {
  return new SkeinError("REFUSED", `publish weights ${version}: ${why}`);
}
