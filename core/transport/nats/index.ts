/**
 * The NATS transport: a broker between the services. Control, weights and relays are request and reply and streams
 * over its subjects; rollouts lie in a durable work queue of JetStream until the learner has settled them. Addresses
 * are `nats://host:port/<run>`, or `tls://…` where nothing but an encrypted connection will do.
 */
import type { Credentials, Security } from "../../security/credentials.js";
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

/** What everything over NATS is made with. */
export interface NatsSettings extends NatsOptions {
  readonly credentials: Credentials;
}

/**
 * Its calls throw CONFIG_INVALID on addresses of another form. The server checks token and certificates; it is the
 * server's own settings that demand them. `protocolVersion` is what this side says it speaks.
 */
export function createNatsTransport(
  options: NatsOptions,
  { credentials, maxCallsPerSecond }: Security,
  protocolVersion: number = PROTOCOL_VERSION,
): Transport {
  const settings: NatsSettings = { ...options, credentials };
  const kind: WireKind = {
    serve: (service, address) => serveNats(service, address, settings, maxCallsPerSecond, protocolVersion),
    connect: (address, serviceName) => new NatsWire(address, serviceName, settings, protocolVersion),
  };
  return transportOver(kind, options, {
    serve: (onDelivery, address) => receiveRollouts(onDelivery, address, settings),
    connect: (address) => new NatsRolloutSender(parsePlace(address), settings),
  });
}
