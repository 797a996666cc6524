/** What every gRPC channel and server of Skein is made with: credentials, options, metadata and addresses. */
import { networkInterfaces } from "node:os";
import {
  ChannelCredentials,
  Metadata,
  ServerCredentials,
  type ChannelOptions,
  type ClientOptions,
} from "@grpc/grpc-js";
import { SkeinError } from "../../errors.js";
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS } from "../retry.js";
import type { TransportOptions } from "../transport.js";

/** Metadata key of the protocol version: of the caller on every call, of the server on a refusal. */
export const PROTOCOL_KEY = "skein-protocol";
/** Metadata key of the ErrorCode on a call that a handler failed. */
export const ERROR_CODE_KEY = "skein-error-code";

/** Room for a frame's or a call's own fields around the payload, bytes. */
const ENVELOPE_BYTES = 64 * 1024;

/** What a server may send before this client has taken it in, bytes. */
const WINDOW_BYTES = 1024 * 1024;

export function clientCredentials(): ChannelCredentials {
  return ChannelCredentials.createInsecure();
}

export function serverCredentials(): ServerCredentials {
  return ServerCredentials.createInsecure();
}

export function protocolMetadata(protocolVersion: number): Metadata {
  const metadata = new Metadata();
  metadata.set(PROTOCOL_KEY, String(protocolVersion));
  return metadata;
}

/** grpc-js servers answer any number of pings, so nothing on a server need permit the clients' keep-alive. */
export function serverOptions(options: TransportOptions): ChannelOptions {
  return {
    "grpc.keepalive_time_ms": 1000 * options.keepaliveSeconds,
    "grpc.keepalive_timeout_ms": 1000 * options.keepaliveSeconds,
    "grpc.max_receive_message_length": options.maxMessageBytes + ENVELOPE_BYTES,
    "grpc.max_send_message_length": options.maxMessageBytes + ENVELOPE_BYTES,
  };
}

export function clientOptions(options: TransportOptions): ClientOptions {
  return {
    ...serverOptions(options),
    "grpc.keepalive_permit_without_calls": 1,
    // For weights; grpc-js servers cannot widen theirs, which stays at HTTP/2's 64 KiB.
    "grpc-node.flow_control_window": WINDOW_BYTES,
    "grpc.initial_reconnect_backoff_ms": FIRST_PAUSE_MS,
    "grpc.max_reconnect_backoff_ms": LONGEST_PAUSE_MS,
    // A restarted pod has another address behind the same name; the default is to ask again after 30 s.
    "grpc.dns_min_time_between_resolutions_ms": LONGEST_PAUSE_MS,
    "grpc.service_config_disable_resolution": 1,
    // Skein retries by itself, and knows what may be repeated.
    "grpc.enable_retries": 0,
    // One connection per client: closing a client closes its socket, and weights never wait behind rollouts.
    "grpc.use_local_subchannel_pool": 1,
    // A proxy for the way out to the internet is no way to a service of the same cluster.
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
  };
}

export interface HostPort {
  /** IPv6 addresses without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Throws CONFIG_INVALID unless `address` is `host:port`. */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || !(port <= 65535)) {
    throw new SkeinError("CONFIG_INVALID", `transport address: expected host:port, got "${address}"`);
  }
  return { host, port };
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** How others reach a server bound to `host`: a wildcard becomes this machine's first outside IPv4 address. */
export function reachableHost(host: string): string {
  if (host !== "0.0.0.0" && host !== "::") return host;
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === "IPv4" && !address.internal);
  return outside?.address ?? "127.0.0.1";
}
