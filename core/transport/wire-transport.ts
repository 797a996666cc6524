/** A Transport over any wire: the same senders, receivers and clients, whatever carries the bytes. */
import { ControlClient } from "./control-client.js";
import { coordinatorService } from "./control-service.js";
import { learnerService } from "./rollout-receiver.js";
import { WireRolloutSender } from "./rollout-sender.js";
import { COORDINATOR_SERVICE, LEARNER_SERVICE } from "./schema.js";
import type { Closable, Control, Transport, TransportOptions } from "./transport.js";
import type { Service, WireKind } from "./wire.js";

/** Closing it closes every client, then every server that it made. */
export function transportOver(kind: WireKind, options: TransportOptions): Transport {
  const clients: Closable[] = [];
  const servers: Closable[] = [];
  const client = <T extends Closable>(made: T): T => {
    clients.push(made);
    return made;
  };
  const serve = async (service: Service, address: string) => {
    const server = await kind.serve(service, address);
    servers.push(server);
    return server;
  };
  return {
    serveControl: (control, address) => serve(coordinatorService(control, options), address),
    connectControl: (address): Control & Closable =>
      client(new ControlClient(kind.connect(address, COORDINATOR_SERVICE), options)),
    serveRollouts: (onDelivery, address) => serve(learnerService(onDelivery, options), address),
    connectRollouts: (address) =>
      client(new WireRolloutSender((to) => kind.connect(to, LEARNER_SERVICE), address, options)),
    close: async () => {
      await Promise.all(clients.splice(0).map((made) => made.close()));
      await Promise.all(servers.splice(0).map((made) => made.close()));
    },
  };
}
