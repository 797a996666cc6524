/** A Transport over any wire: the same senders, receivers and clients, whatever carries the bytes. */
import { ControlClient } from "./control-client.js";
import { coordinatorService } from "./control-service.js";
import { learnerService } from "./rollout-receiver.js";
import { WireRolloutSender } from "./rollout-sender.js";
import { COORDINATOR_SERVICE, LEARNER_SERVICE, RELAY_SERVICE } from "./schema.js";
import type {
  Closable,
  Control,
  DeliveryHandler,
  Listening,
  RolloutSender,
  Transport,
  TransportOptions,
} from "./transport.js";
import { RelayClient } from "./weights-client.js";
import { relayService } from "./weights-service.js";
import type { Service, WireKind } from "./wire.js";

/** How rollouts travel. */
export interface RolloutRoute {
  serve(onDelivery: DeliveryHandler, address: string): Promise<Listening>;
  connect(address: string): RolloutSender;
}

/** From sender to learner directly. */
function routeOver(kind: WireKind, options: TransportOptions): RolloutRoute {
  return {
    serve: (onDelivery, address) => kind.serve(learnerService(onDelivery, options), address),
    connect: (address) => new WireRolloutSender((to) => kind.connect(to, LEARNER_SERVICE), address, options),
  };
}

/** Closing it closes every client, then every server that it made. */
export function transportOver(
  kind: WireKind,
  options: TransportOptions,
  rollouts: RolloutRoute = routeOver(kind, options),
): Transport {
  const clients: Closable[] = [];
  const servers: Closable[] = [];
  const client = <T extends Closable>(made: T): T => {
    clients.push(made);
    return made;
  };
  const listening = async (start: () => Promise<Listening>): Promise<Listening> => {
    const server = await start();
    servers.push(server);
    return server;
  };
  const serve = (service: Service, address: string) => listening(() => kind.serve(service, address));
  return {
    storesWeights: false,
    serveControl: (control, address) => serve(coordinatorService(control, options), address),
    connectControl: (address): Control & Closable =>
      client(new ControlClient(kind.connect(address, COORDINATOR_SERVICE), options)),
    serveRollouts: (onDelivery, address) => listening(() => rollouts.serve(onDelivery, address)),
    connectRollouts: (address) => client(rollouts.connect(address)),
    serveWeights: (source, address, receivers) => serve(relayService(source, receivers, options), address),
    connectWeights: (address) => client(new RelayClient(kind.connect(address, RELAY_SERVICE), options)),
    close: async () => {
      await Promise.all(clients.splice(0).map((made) => made.close()));
      await Promise.all(servers.splice(0).map((made) => made.close()));
    },
  };
}
