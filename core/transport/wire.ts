/**
 * The wire under the memory and gRPC transports: calls and two-way streams of opaque bytes. What rollouts, weights
 * and credits mean is written once, above it (rollout-sender, rollout-receiver, control-client, control-service,
 * weights-watch); a wire only moves bytes in order and says when a connection broke.
 *
 * No wire calls a listener before the call that registered it has returned.
 */
import { SkeinError } from "../errors.js";
import type { Listening } from "./transport.js";

/** The connection failed before an answer came. Whether the other side acted is unknown; trying again may help. */
export class LinkBroken extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = "LinkBroken";
  }
}

export interface StreamListener {
  /** The other side is there and has accepted the stream. At most once, before any message. */
  onOpen(): void;
  onMessage(bytes: Uint8Array): void;
  /** Room again after `write` returned false. */
  onDrain(): void;
  /** Last, and once unless this side cancelled. null = the other side has finished in good order. */
  onEnd(error: LinkBroken | SkeinError | null): void;
}

export interface WireStream {
  /** False = taken, but wait for `onDrain` before writing more. */
  write(bytes: Uint8Array): boolean;
  /** This side has said all; messages may still come. */
  end(): void;
  /** Drops the stream at once: the listener hears nothing more. */
  cancel(): void;
}

/** The client's side of one address. */
export interface Wire {
  readonly address: string;
  /**
   * One attempt at a unary call, with a deadline. `connectBy` (performance.now() milliseconds): an attempt that has
   * no connection by then is over. Rejects LinkBroken where trying again may help, else a SkeinError.
   */
  call(method: string, request: Uint8Array, connectBy: number): Promise<Uint8Array>;
  open(method: string, listener: StreamListener): WireStream;
  /** Breaks whatever is still open. */
  close(): void;
}

/** The server's side of one stream. */
export interface ServedStream {
  /** Resolves once the wire has taken the bytes, or the stream is gone. Never rejects. */
  write(bytes: Uint8Array): Promise<void>;
  /** No message is handed over between `pause` and `resume`; the client feels it as back-pressure. */
  pause(): void;
  resume(): void;
  /** Ends the stream after what was written. Later calls do nothing. */
  end(error?: SkeinError): void;
}

export interface ServedListener {
  onMessage(bytes: Uint8Array): void;
  /** The client has said all. */
  onHalfClose(): void;
  /** The stream is over, for whatever reason. Last, and exactly once. */
  onGone(): void;
}

/** What a server offers. `name` is the gRPC service. */
export interface Service {
  readonly name: string;
  call(method: string, request: Uint8Array): Promise<Uint8Array>;
  open(method: string, stream: ServedStream): ServedListener;
}

/** A way to reach others by address. */
export interface WireKind {
  serve(service: Service, address: string): Promise<Listening>;
  connect(address: string, serviceName: string): Wire;
}

/** REFUSED: the service has no such method. */
export function unknownMethod(service: string, method: string): SkeinError {
  return new SkeinError("REFUSED", `${service} has no method ${method}`);
}

/** UNAVAILABLE: connected, but no answer before the deadline. */
export function noAnswer(address: string, method: string, seconds: number): SkeinError {
  const advice = "it is overloaded or stuck: look at its log, or raise the transport's deadlineSeconds";
  return new SkeinError("UNAVAILABLE", `${method}: ${address} gave no answer within ${seconds} s: ${advice}`);
}
