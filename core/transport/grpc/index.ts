/** The gRPC transport: the default between processes and machines. Addresses are `host:port`; port 0 = any free one. */
import { OPEN, type Security } from "../../security/credentials.js";
import { PROTOCOL_VERSION } from "../schema.js";
import type { Transport, TransportOptions } from "../transport.js";
import { transportOver } from "../wire-transport.js";
import { GrpcWire } from "./client.js";
import { serveGrpc } from "./server.js";

/**
 * A transport over gRPC. Its calls throw CONFIG_INVALID on addresses that are no `host:port`. `protocolVersion` is
 * what this side says it speaks.
 */
export function createGrpcTransport(
  options: TransportOptions,
  security: Security = OPEN,
  protocolVersion: number = PROTOCOL_VERSION,
): Transport {
  const side = { ...options, security, protocolVersion };
  return transportOver(
    {
      serve: (service, address) => serveGrpc(service, address, side),
      connect: (address, serviceName) => new GrpcWire(address, serviceName, side),
    },
    options,
  );
}
