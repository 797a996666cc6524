/** What an actor has to do with weights: follows them, and hands them on where the run wants that. */
import type { RunConfig } from "../../core/config/schema.js";
import type { Keep } from "../../core/services.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import { addressesOf } from "../../core/transport/create.js";
import type { Control, Transport } from "../../core/transport/transport.js";
import { WeightsFollower } from "../../core/weights/follower.js";
import { WeightsRelay } from "../../core/weights/relay.js";
import { WeightsShelf } from "../../core/weights/shelf.js";

/** The newest, and the one before it: what others may take a delta from. */
const KEEP = 2;

export interface WeightsLineOptions {
  readonly config: RunConfig;
  readonly transport: Transport;
  readonly control: Control;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
  readonly keep: Keep;
}

/** Throws PORT_IN_USE where the run file's `weights.relayAddress` is taken. */
export async function openWeights(options: WeightsLineOptions): Promise<WeightsFollower> {
  const { config, transport, control, metrics, log, now, keep } = options;
  const { weights } = config;
  const relay = new WeightsRelay(new WeightsShelf(KEEP, weights), metrics);
  let relayAddress = "";
  if (weights.fanOut > 0 && !transport.storesWeights) {
    const serving = keep(await transport.serveWeights(relay, addressesOf(config).relays, weights.fanOut));
    relayAddress = serving.address;
  }
  const connect = (address: string) => transport.connectWeights(address);
  return new WeightsFollower({ control, relay, relayAddress, connect, metrics, log, now });
}
