/**
 * The NATS transport: a broker between the services. Control is request and reply; rollouts lie in a durable work
 * queue of JetStream until the learner has settled them. Addresses are `nats://host:port/<run>` or `tls://…`.
 */
import { PROTOCOL_VERSION } from "../schema.js";
import type { Transport, TransportOptions } from "../transport.js";
import { transportOver } from "../wire-transport.js";
import type { WireKind } from "../wire.js";
import { parsePlace } from "./address.js";
import { receiveRollouts } from "./rollout-receiver.js";
import { NatsRolloutSender } from "./rollout-sender.js";
import { serveNats } from "./server.js";
import { NatsWire } from "./wire.js";

export interface NatsOptions extends TransportOptions {
  readonly nats: {
    /** Largest size of the rollout queue on the server, bytes. */
    readonly maxBytes: number;
    /** Servers of a cluster that keep each message. */
    readonly replicas: number;
  };
  /** Told what people should know: the queue is full, the server has lost its store. */
  readonly notice: (message: string) => void;
}

/** Its calls throw CONFIG_INVALID on addresses of another form. `protocolVersion` is what this side says it speaks. */
export function createNatsTransport(
  options: NatsOptions,
  protocolVersion: number = PROTOCOL_VERSION,
): Transport {
  const kind: WireKind = {
    serve: (service, address) => serveNats(service, address, options, protocolVersion),
    connect: (address, serviceName) => new NatsWire(address, serviceName, options, protocolVersion),
  };
  return transportOver(kind, options, {
    serve: (onDelivery, address) => receiveRollouts(onDelivery, address, options),
    connect: (address) => new NatsRolloutSender(parsePlace(address), options),
  });
}
