/**
 * The newest few versions of the weights, verified, and what others may have of them: full, or a delta between two
 * of them. Versions only rise, and a version once kept never changes.
 */
import type { RunConfig } from "../config/schema.js";
import { SkeinError } from "../errors.js";
import type { WeightsDelivery, WeightsRequest } from "../transport/transport.js";
import { encodeDelta, type VerifiedWeights } from "./payload.js";

export type DeltaSettings = Pick<RunConfig["weights"], "deltas" | "anchorEvery">;

interface Kept {
  readonly weights: VerifiedWeights;
  /** By parent, once asked for; null = full is no larger. */
  readonly deltas: Map<number, WeightsDelivery | null>;
}

export class WeightsShelf {
  /** Oldest first. */
  private kept: readonly Kept[] = [];

  /** Keeps the newest `keep` ≥ 1. */
  constructor(
    private readonly keep: number,
    private readonly settings: DeltaSettings,
  ) {}

  get newest(): VerifiedWeights | null {
    return this.kept.at(-1)?.weights ?? null;
  }

  /** −1 = none. */
  get version(): number {
    return this.newest?.manifest.version ?? -1;
  }

  /** Oldest first. */
  get versions(): readonly number[] {
    return this.kept.map(({ weights }) => weights.manifest.version);
  }

  get(version: number): VerifiedWeights | null {
    return this.kept.find(({ weights }) => weights.manifest.version === version)?.weights ?? null;
  }

  /** Throws REFUSED where `weights` are not newer than the newest. */
  put(weights: VerifiedWeights): void {
    const { version } = weights.manifest;
    if (version <= this.version) {
      const advice = "versions never go back";
      throw new SkeinError(
        "REFUSED",
        `weights ${version}: expected a version above ${this.version}: ${advice}`,
      );
    }
    this.kept = [...this.kept, { weights, deltas: new Map() }].slice(-this.keep);
  }

  /** Null where no version kept lies within the request. */
  find({ version, oldest, base }: WeightsRequest): WeightsDelivery | null {
    const found = this.kept.findLast(
      ({ weights: { manifest } }) => manifest.version >= oldest && manifest.version <= version,
    );
    if (found === undefined) return null;
    const delta = base === null ? null : this.delta(base, found);
    return delta ?? { manifest: found.weights.manifest, payload: found.weights.payload };
  }

  private delta(parent: number, { weights, deltas }: Kept): WeightsDelivery | null {
    const { version } = weights.manifest;
    const isAnchor = version % this.settings.anchorEvery === 0;
    const from = this.get(parent);
    if (!this.settings.deltas || isAnchor || from === null || parent >= version) return null;
    const made = deltas.get(parent);
    if (made !== undefined) return made;
    const payload = encodeDelta(from, weights);
    const delta = payload === null ? null : { manifest: { ...weights.manifest, parent }, payload };
    deltas.set(parent, delta);
    return delta;
  }
}
