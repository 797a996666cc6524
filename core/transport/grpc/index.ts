/** The gRPC transport: the default between processes and machines. Addresses are `host:port`; port 0 = any free one. */
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
  protocolVersion: number = PROTOCOL_VERSION,
): Transport {
  return transportOver(
    {
      serve: (service, address) => serveGrpc(service, address, options, protocolVersion),
      connect: (address, serviceName) => new GrpcWire(address, serviceName, options, protocolVersion),
    },
    options,
  );
}
