/**
 * The NATS transport: a broker between the services. Control is request and reply and streams over its subjects;
 * rollouts lie in a durable work queue of JetStream until the learner has settled them; weights lie in a key-value
 * bucket of it, each version once. Addresses
 * are `nats://host:port/<run>`, or `tls://…` where nothing but an encrypted connection will do.
 */
import type { Security } from "../../security/credentials.js";
import { PROTOCOL_VERSION } from "../schema.js";
import type { Closable, Transport } from "../transport.js";
import { transportOver } from "../wire-transport.js";
import type { WireKind } from "../wire.js";
import { parsePlace } from "./address.js";
import { receiveRollouts } from "./rollout-receiver.js";
import { NatsRolloutSender } from "./rollout-sender.js";
import { serveNats } from "./server.js";
import type { NatsOptions, NatsSettings } from "./settings.js";
import { StoringControl } from "./storing-control.js";
import { isStoreAddress, storeAddress, StoredWeights, WeightsStore } from "./weights-store.js";
import { NatsWire } from "./wire.js";

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
  const transport = transportOver(kind, options, {
    serve: (onDelivery, address) => receiveRollouts(onDelivery, address, settings),
    connect: (address) => new NatsRolloutSender(parsePlace(address), settings),
  });
  const stores: Closable[] = [];
  const keep = <T extends Closable>(store: T): T => {
    stores.push(store);
    return store;
  };
  return {
    ...transport,
    storesWeights: true,
    serveControl: async (control, address) => {
      const place = parsePlace(address);
      const store = keep(new WeightsStore(place, settings));
      const { deadlineSeconds: seconds, notice } = options;
      const storing = new StoringControl(control, store, { address: storeAddress(place), seconds, notice });
      return await transport.serveControl(storing, place.address);
    },
    connectWeights: (address) =>
      isStoreAddress(address)
        ? keep(new StoredWeights(address, settings))
        : transport.connectWeights(address),
    close: async () => {
      await transport.close();
      await Promise.all(stores.splice(0).map((store) => store.close()));
    },
  };
}
