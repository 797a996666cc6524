/**
 * One call's request or reply as NATS messages: whole where it is short, else in frames. The headers carry the
 * protocol version and, on a failure, its error code; the body is then the message of the error.
 */
import { headers, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import { SkeinError } from "../../errors.js";
import { codeOr } from "../error-codes.js";
import { encodeFrames, FrameAssembler, protocolMismatch } from "../frames.js";
import { PROTOCOL_VERSION } from "../schema.js";

const PROTOCOL_HEADER = "Skein-Protocol";
const ERROR_HEADER = "Skein-Error";
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

function versioned(protocolVersion: number): MsgHdrs {
  const made = headers();
  made.set(PROTOCOL_HEADER, String(protocolVersion));
  return made;
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
  const head = versioned(protocolVersion);
  if (error !== undefined) head.set(ERROR_HEADER, error.code);
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
   * The body, where it is whole, else null. Throws what the other side answered with, PROTOCOL_MISMATCH where it
   * speaks another version, and whatever FrameAssembler throws.
   */
  push(message: Msg, protocolVersion: number = PROTOCOL_VERSION): Uint8Array | null {
    const theirs = message.headers?.get(PROTOCOL_HEADER) ?? "";
    if (theirs !== String(protocolVersion)) {
      throw protocolMismatch(theirs === "" ? "none" : theirs, protocolVersion);
    }
    const framed = message.headers?.has(FRAME_HEADER) ?? false;
    const body = framed ? (this.assembler.push(message.data)?.bytes ?? null) : message.data;
    const code = message.headers?.get(ERROR_HEADER) ?? "";
    if (code !== "" && body !== null) {
      throw new SkeinError(codeOr(code, "INTERNAL"), new TextDecoder().decode(body));
    }
    return body;
  }
}
