/** What every gRPC channel and server of Skein is made with: credentials, options, metadata and addresses. */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  ChannelCredentials,
  Metadata,
  ServerCredentials,
  type ChannelOptions,
  type ClientOptions,
} from "@grpc/grpc-js";
import { SkeinError } from "../../errors.js";
import type { Security } from "../../security/credentials.js";
import { bearer, TOKEN_HEADER } from "../../security/token.js";
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS } from "../retry.js";
import type { TransportOptions } from "../transport.js";

/** Metadata key of the protocol version: of the caller on every call, of the server on a refusal. */
export const PROTOCOL_KEY = "skein-protocol";
/** Metadata key of the ErrorCode on a call that a handler failed. */
export const ERROR_CODE_KEY = "skein-error-code";

/**
 * Largest single gRPC message, bytes: a frame of 1 MiB, the largest chunk there may be, or a call with some ten thousand
 * outcomes or actors. Longer messages travel in frames.
 */
const MOST_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Calls and streams of one connection at a time: an actor has a few for each of its threads. */
const MOST_STREAMS = 512;

/** Milliseconds after which a server closes a connection that carries no call; clients open the next one by themselves. */
const IDLE_MS = 10 * 60 * 1000;

/** What the other side may send before this side has taken it in, bytes; a connection buffers no more. */
export const WINDOW_BYTES = 1024 * 1024;

/** One side of the wire: how it behaves, who it is, what it speaks. */
export interface GrpcSide extends TransportOptions {
  readonly security: Security;
  readonly protocolVersion: number;
}

export function clientCredentials(
  { credentials: { tls } }: Security,
  { host }: HostPort,
): ChannelCredentials {
  if (tls === null) return ChannelCredentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  // By the host that was dialled, whatever name was sent ahead.
  const identity = (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate);
  return ChannelCredentials.createSsl(ca, key, cert, { checkServerIdentity: identity });
}

export function serverCredentials({ credentials: { tls }, mutual }: Security): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(Buffer.from(tls.ca), [pair], mutual);
}

/** What every call of this side carries. */
export function callMetadata({ protocolVersion, security }: GrpcSide): Metadata {
  const metadata = protocolMetadata(protocolVersion);
  const { token } = security.credentials;
  if (token !== null) metadata.set(TOKEN_HEADER, bearer(token));
  return metadata;
}

export function protocolMetadata(protocolVersion: number): Metadata {
  const metadata = new Metadata();
  metadata.set(PROTOCOL_KEY, String(protocolVersion));
  return metadata;
}

function commonOptions({ keepaliveSeconds }: TransportOptions): ChannelOptions {
  return {
    "grpc.keepalive_time_ms": 1000 * keepaliveSeconds,
    "grpc.keepalive_timeout_ms": 1000 * keepaliveSeconds,
    "grpc.max_receive_message_length": MOST_MESSAGE_BYTES,
    "grpc.max_send_message_length": MOST_MESSAGE_BYTES,
  };
}

/** grpc-js servers answer any number of pings, so nothing on a server need permit the clients' keep-alive. */
export function serverOptions(options: TransportOptions): ChannelOptions {
  return {
    ...commonOptions(options),
    "grpc.max_concurrent_streams": MOST_STREAMS,
    "grpc.max_connection_idle_ms": IDLE_MS,
  };
}

export function clientOptions(options: TransportOptions, { host }: HostPort): ClientOptions {
  return {
    ...commonOptions(options),
    // TLS has no place for an address where it names the host that is meant.
    ...(isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "skein" }),
    "grpc.keepalive_permit_without_calls": 1,
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
