/** The weights that an actor holds, as others may have them: only what has been verified, and soon what is not yet. */
import { setTimeout as sleep } from "node:timers/promises";
import { SkeinError } from "../errors.js";
import type { ActorMetrics } from "../telemetry/metrics.js";
import {
  RELAY_WAIT_SECONDS,
  type WeightsDelivery,
  type WeightsRequest,
  type WeightsSource,
} from "../transport/transport.js";
import { modeOf } from "./manifest.js";
import type { VerifiedWeights } from "./payload.js";
import type { WeightsShelf } from "./shelf.js";

export class WeightsRelay implements WeightsSource {
  private waiting: (() => void)[] = [];

  constructor(
    readonly shelf: WeightsShelf,
    private readonly metrics: Pick<ActorMetrics, "weightsSentBytes">,
  ) {}

  put(weights: VerifiedWeights): void {
    this.shelf.put(weights);
    for (const wake of this.waiting.splice(0)) wake();
  }

  async fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    const late = sleep(1000 * RELAY_WAIT_SECONDS, "late" as const, { ref: false });
    for (;;) {
      const found = this.shelf.find(request);
      if (found !== null) {
        this.metrics.weightsSentBytes.inc(modeOf(found.manifest), found.payload.byteLength);
        return found;
      }
      const { oldest, version } = request;
      const overtaken = this.shelf.version > version;
      if (overtaken || (await Promise.race([this.change(), late])) === "late") {
        const why = `this relay has version ${this.shelf.version} and none from ${oldest} to ${version}`;
        throw new SkeinError("REFUSED", `${why}: fetch from the coordinator`);
      }
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
