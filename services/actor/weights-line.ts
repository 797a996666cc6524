/** What an actor has to do with weights: follows them, and hands them on where the run wants that. */
import type { RunConfig } from "../../core/config/schema.js";
import { steadySeconds, type Keep } from "../../core/services.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { Control, Transport } from "../../core/transport/transport.js";
import { WeightsFollower } from "../../core/weights/follower.js";
import { WeightsRelay } from "../../core/weights/relay.js";
import { WeightsShelf } from "../../core/weights/shelf.js";

/** The newest, and the one before it: what others may take a delta from. */
const KEEP = 2;

export async function openWeights(
  { weights, transport: wires }: RunConfig,
  transport: Transport,
  control: Control,
  metrics: ActorMetrics,
  log: Logger,
  keep: Keep,
): Promise<WeightsFollower> {
  const relay = new WeightsRelay(new WeightsShelf(KEEP, weights), metrics);
  let relayAddress = "";
  if (weights.fanOut > 0 && wires.kind === "grpc") {
    const serving = keep(await transport.serveWeights(relay, weights.relayAddress, weights.fanOut));
    relayAddress = serving.address;
  }
  const connect = (address: string) => transport.connectWeights(address);
  return new WeightsFollower({ control, relay, relayAddress, connect, metrics, log, now: steadySeconds });
}
