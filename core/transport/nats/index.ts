/** The NATS JetStream transport: a broker keeps what is on its way. */
import { SkeinError } from "../../errors.js";
import type { Security } from "../../security/credentials.js";
import type { Transport, TransportOptions } from "../transport.js";

export function createNatsTransport(_options: TransportOptions, _security: Security): Transport {
  throw new SkeinError("CONFIG_INVALID", "transport.kind nats is not there yet; use grpc");
}
