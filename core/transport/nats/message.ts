/**
 * One call's request or reply as NATS messages: whole where it is short, else in frames. The headers carry the
 * protocol version and, on a failure, its error code; the body is then the message of the error.
 */
import { headers, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import { SkeinError } from "../../errors.js";
import { codeOr } from "../error-codes.js";
import { encodeFrames, FrameAssembler, protocolMismatch } from "../frames.js";
import { PROTOCOL_VERSION } from "../schema.js";
import { LinkBroken } from "../wire.js";

const PROTOCOL_HEADER = "Skein-Protocol";
const ERROR_HEADER = "Skein-Error";
/** Present where the body says why the call should be made again a little later. */
const LATER_HEADER = "Skein-Later";
/** Present where the body is one frame of several. */
const FRAME_HEADER = "Skein-Frame";

/** Room for headers within the server's max_payload, bytes. */
const HEADER_BYTES = 1024;

/** A code that NATS itself gives where nobody listens on a subject. */
const NO_RESPONDERS = 503;

export function nobodyListens(message: Msg): boolean {
  return message.data.byteLength === 0 && message.headers?.code === NO_RESPONDERS;
}

/** Largest body that the server of `connection` takes in one message, bytes. */
export function bodyLimit(connection: NatsConnection, chunkBytes: number): number {
  const limit = connection.info?.max_payload ?? chunkBytes + HEADER_BYTES;
  return Math.min(chunkBytes, limit - HEADER_BYTES);
}

/** The headers of a message without frames. */
export function headersOf(protocolVersion: number, error?: SkeinError): MsgHdrs {
  const made = headers();
  made.set(PROTOCOL_HEADER, String(protocolVersion));
  if (error !== undefined) made.set(ERROR_HEADER, error.code);
  return made;
}

/** Answers that the call should be made again a little later. */
export function publishLater(
  connection: NatsConnection,
  subject: string,
  why: string,
  protocol: number,
): void {
  const head = headersOf(protocol);
  head.set(LATER_HEADER, "1");
  connection.publish(subject, why, { headers: head });
}

/** Throws PROTOCOL_MISMATCH unless `message` is of this version. */
export function expectProtocol(message: Msg, protocolVersion: number): void {
  const theirs = message.headers?.get(PROTOCOL_HEADER) ?? "";
  if (theirs === String(protocolVersion)) return;
  throw protocolMismatch(theirs === "" ? "none" : theirs, protocolVersion);
}

/** The error that a message with `body` carries; null = none. */
export function errorIn(message: Msg, body: Uint8Array): SkeinError | null {
  const code = message.headers?.get(ERROR_HEADER) ?? "";
  return code === "" ? null : new SkeinError(codeOr(code, "INTERNAL"), new TextDecoder().decode(body));
}

/** The body that `errorIn` reads. */
export function errorBody(error: SkeinError): Uint8Array {
  return new TextEncoder().encode(error.message);
}

export interface Outgoing {
  readonly subject: string;
  /** Where an answer goes; absent on an answer. */
  readonly reply?: string;
  readonly body: Uint8Array;
  readonly error?: SkeinError;
}

/** Writes `message` in as many NATS messages as it takes. */
export function publish(
  connection: NatsConnection,
  { subject, reply, body, error }: Outgoing,
  chunkBytes: number,
  protocolVersion: number = PROTOCOL_VERSION,
): void {
  const limit = bodyLimit(connection, chunkBytes);
  const head = headersOf(protocolVersion, error);
  const options = { headers: head, ...(reply === undefined ? {} : { reply }) };
  if (body.byteLength <= limit) {
    connection.publish(subject, body, options);
    return;
  }
  head.set(FRAME_HEADER, "1");
  // A frame's own fields need room besides its payload.
  for (const frame of encodeFrames(1, body, limit - HEADER_BYTES))
    connection.publish(subject, frame, options);
}

/** Puts one request or reply together. */
export class Incoming {
  private readonly assembler: FrameAssembler;

  constructor(maxMessageBytes: number) {
    this.assembler = new FrameAssembler(maxMessageBytes);
  }

  /**
   * The body, where it is whole, else null. Throws what the other side answered with, LinkBroken where it asks to try
   * later, PROTOCOL_MISMATCH where it speaks another version, and whatever FrameAssembler throws.
   */
  push(message: Msg, protocolVersion: number = PROTOCOL_VERSION): Uint8Array | null {
    expectProtocol(message, protocolVersion);
    if (message.headers?.has(LATER_HEADER) === true) throw new LinkBroken(message.string());
    const framed = message.headers?.has(FRAME_HEADER) ?? false;
    const body = framed ? (this.assembler.push(message.data)?.bytes ?? null) : message.data;
    const error = body === null ? null : errorIn(message, body);
    if (error !== null) throw error;
    return body;
  }
}
