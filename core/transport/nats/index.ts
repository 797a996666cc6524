/**
 * The NATS transport: a broker between the services. Control is request and reply; rollouts lie in a durable work
 * queue of JetStream until the learner has settled them. Addresses are `nats://host:port/<run>` or `tls://…`.
 */
import { OPEN, type Security } from "../../security/credentials.js";
import { COORDINATOR_SERVICE, PROTOCOL_VERSION } from "../schema.js";
import { ControlClient } from "../control-client.js";
import { coordinatorService } from "../control-service.js";
import type { Closable, Transport, TransportOptions } from "../transport.js";
import { parsePlace } from "./address.js";
import { NatsRolloutReceiver } from "./rollout-receiver.js";
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
  _security: Security = OPEN,
  protocolVersion: number = PROTOCOL_VERSION,
): Transport {
  const clients: Closable[] = [];
  const servers: Closable[] = [];
  const keep = <T extends Closable>(list: Closable[], made: T): T => {
    list.push(made);
    return made;
  };
  return {
    serveControl: async (control, address) =>
      keep(servers, await serveNats(coordinatorService(control, options), address, options, protocolVersion)),
    connectControl: (address) =>
      keep(
        clients,
        new ControlClient(new NatsWire(address, COORDINATOR_SERVICE, options, protocolVersion), options),
      ),
    serveRollouts: async (onDelivery, address) => {
      const receiver = keep(servers, new NatsRolloutReceiver(parsePlace(address), onDelivery, options));
      await receiver.start();
      return receiver;
    },
    connectRollouts: (address) => keep(clients, new NatsRolloutSender(parsePlace(address), options)),
    serveWeights: () => Promise.reject(new Error("not yet")),
    connectWeights: () => {
      throw new Error("not yet");
    },
    close: async () => {
      await Promise.all(clients.splice(0).map((made) => made.close()));
      await Promise.all(servers.splice(0).map((made) => made.close()));
    },
  };
}
