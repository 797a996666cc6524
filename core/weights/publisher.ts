/**
 * The learner's side of weights: each version goes to the coordinator as a delta from the one published before, or in
 * full. Weights that are not finite never leave the process.
 */
import { SkeinError } from "../errors.js";
import type { LearnerMetrics } from "../telemetry/metrics.js";
import type { Control } from "../transport/transport.js";
import type { WeightsSnapshot } from "../types.js";
import { modeOf } from "./manifest.js";
import { weightsOf } from "./payload.js";
import { WeightsShelf, type DeltaSettings } from "./shelf.js";

export class WeightsPublisher {
  private readonly shelf: WeightsShelf;

  constructor(
    private readonly control: Pick<Control, "publishWeights">,
    private readonly incarnation: string,
    settings: DeltaSettings,
    private readonly metrics: Pick<LearnerMetrics, "weightsSentBytes">,
  ) {
    // The version at hand and the one before it, which the coordinator has.
    this.shelf = new WeightsShelf(2, settings);
  }

  /**
   * Publishing the same version again sends it in full: the coordinator may have forgotten. Throws REFUSED where a
   * number is not finite or the coordinator has a newer version.
   */
  async publish(snapshot: WeightsSnapshot): Promise<void> {
    const { version } = snapshot;
    const before = this.shelf.version;
    if (version !== before) this.shelf.put(weightsOf(snapshot));
    return this.send(version, before < version ? before : null);
  }

  private async send(version: number, base: number | null): Promise<void> {
    const delivery = this.shelf.find({ version, oldest: version, base });
    if (delivery === null) throw new SkeinError("INTERNAL", `publisher: version ${version} is gone`);
    const { manifest, payload } = delivery;
    const mode = modeOf(manifest);
    try {
      await this.control.publishWeights(delivery, this.incarnation);
    } catch (error) {
      const mayHelp = error instanceof SkeinError && error.code === "REFUSED" && mode === "delta";
      if (!mayHelp) throw error;
      // The coordinator has forgotten the parent: it has been started anew.
      return this.send(version, null);
    }
    this.metrics.weightsSentBytes.inc(mode, payload.byteLength);
  }
}
