/**
 * Messages in pieces. A message of at most `chunkBytes` is one frame, a longer one is several; the last carries the
 * SHA-256 of the whole. Nothing leaves the assembler that did not arrive complete, in order and unchanged.
 */
import { createHash } from "node:crypto";
import { SkeinError, toSkeinError } from "../errors.js";
import { alignedPrefix, lengthOf, PartReader, together } from "./parts.js";
import { corrupt, messageCodec, PROTOCOL_VERSION } from "./schema.js";

/** Decoded shape of skein.v1.Frame. */
export interface Frame {
  /** Strictly increasing within a stream. */
  readonly messageId: number;
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Of the whole message. */
  readonly totalBytes: number;
  /** Of the whole message; empty except on the last frame. */
  readonly sha256: Uint8Array;
  readonly protocolVersion: number;
  readonly payload: Uint8Array;
}

export interface Message {
  readonly id: number;
  /** In memory of their own, which nothing else views: what they become may be moved to another thread. */
  readonly bytes: Uint8Array;
}

export const frameCodec = messageCodec<Frame>("Frame");

/** All of a frame but its payload. */
const headCodec = messageCodec<Omit<Frame, "payload">>("Frame");
/** Field numbers of Frame. */
const PAYLOAD = { field: 7, padding: 8 };
/**
 * gRPC puts 5 bytes before each message, in memory that begins at a multiple of 4: so far past one must a payload begin
 * to lie at one itself.
 */
const PAYLOAD_PAST = 3;
/** Bytes that gRPC's prefix and a frame's fields but the payload take at most. */
const FRAME_OVERHEAD = 128;
/** Pieces of a long message are no shorter, so that remembering them takes no more memory than they do. */
const LEAST_PIECE_BYTES = 512;

const noDigest = new Uint8Array(0);
const blankDigest = new Uint8Array(32);

export function digestOf(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** The frames of one message; their payloads are views of `bytes`, whose SHA-256 is `digest`. */
export function split(
  messageId: number,
  bytes: Uint8Array,
  chunkBytes: number,
  digest: Uint8Array = digestOf(bytes),
): Frame[] {
  const count = Math.max(1, Math.ceil(bytes.byteLength / chunkBytes));
  return Array.from({ length: count }, (_, index) => ({
    messageId,
    index,
    count,
    totalBytes: bytes.byteLength,
    sha256: index === count - 1 ? digest : noDigest,
    protocolVersion: PROTOCOL_VERSION,
    payload: bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  }));
}

/** `split`, encoded: what is written to a stream. */
export function encodeFrames(messageId: number, bytes: Uint8Array, chunkBytes: number): Uint8Array[] {
  return encodeParts(messageId, [bytes], chunkBytes);
}

/** The encoded frames of the message that `parts` make one after the other; each byte of it is copied once. */
export function encodeParts(
  messageId: number,
  parts: readonly Uint8Array[],
  chunkBytes: number,
): Uint8Array[] {
  const totalBytes = lengthOf(parts);
  const count = Math.max(1, Math.ceil(totalBytes / chunkBytes));
  const source = new PartReader(parts);
  const hash = createHash("sha256");
  return Array.from({ length: count }, (_, index) => {
    const last = index === count - 1;
    const size = last ? totalBytes - index * chunkBytes : chunkBytes;
    const about = { messageId, index, count, totalBytes, protocolVersion: PROTOCOL_VERSION };
    const head = headCodec.encode({ ...about, sha256: last ? blankDigest : noDigest });
    const prefix = alignedPrefix(PAYLOAD, size, head.byteLength, PAYLOAD_PAST);
    const start = head.byteLength + prefix.byteLength;
    const frame = Buffer.allocUnsafeSlow(start + size);
    source.fill(frame, start, size);
    hash.update(frame.subarray(start));
    frame.set(last ? headCodec.encode({ ...about, sha256: hash.digest() }) : head);
    frame.set(prefix, head.byteLength);
    return frame;
  });
}

/** Puts the frames of one stream together again. Once it has thrown, it throws the same on every further frame. */
export class FrameAssembler {
  private lastId = -1;
  private parts: Frame[] = [];
  private received = 0;
  private broken: SkeinError | null = null;

  constructor(private readonly maxMessageBytes: number) {}

  /** Whether some of a message has arrived and not all of it. */
  get partial(): boolean {
    return this.parts.length > 0;
  }

  /**
   * The whole message where this was its last frame, else null. Throws MESSAGE_CORRUPT where the frame does not
   * follow from the ones before it, PROTOCOL_MISMATCH where it is of another protocol version, and REFUSED where
   * its message is longer than `maxMessageBytes`.
   */
  push(encoded: Uint8Array): Message | null {
    if (this.broken !== null) throw this.broken;
    try {
      return this.accept(frameCodec.decode(encoded));
    } catch (error) {
      this.parts = [];
      this.broken = toSkeinError(error);
      throw this.broken;
    }
  }

  /** Throws MESSAGE_CORRUPT where the stream ends in the middle of a message. */
  expectWhole(): void {
    const last = this.parts.at(-1);
    if (last === undefined) return;
    throw corrupt(
      `message ${last.messageId}`,
      `${last.count} frames`,
      `the end of the stream after ${last.index + 1}`,
    );
  }

  private accept(frame: Frame): Message | null {
    this.check(frame);
    this.parts.push(frame);
    this.received += frame.payload.byteLength;
    return this.parts.length < frame.count ? null : this.finish(frame);
  }

  private check(frame: Frame): void {
    const where = whereOf(frame);
    if (frame.protocolVersion !== PROTOCOL_VERSION) throw protocolMismatch(frame.protocolVersion);
    const { messageId, index, totalBytes } = frame;
    const first = this.parts[0];
    if (index !== this.parts.length) throw corrupt(where, `index ${this.parts.length}`, `${index}`);
    if (first !== undefined) {
      expectSameMessage(frame, first);
    } else if (!(messageId > this.lastId)) {
      throw corrupt(where, `a message after ${this.lastId}`, `${messageId}`);
    }
    expectSound(frame, this.maxMessageBytes);
    const received = this.received + frame.payload.byteLength;
    if (received > totalBytes) throw corrupt(where, `${totalBytes} bytes in all`, `${received} so far`);
  }

  private finish(last: Frame): Message {
    const bytes = joined(this.parts);
    this.lastId = last.messageId;
    this.parts = [];
    this.received = 0;
    return { id: last.messageId, bytes };
  }
}

function whereOf({ index, messageId }: Frame): string {
  return `frame ${index} of message ${messageId}`;
}

/** Throws where the frame by itself is of another protocol version, too long a message or no frame at all. */
export function expectSound(frame: Frame, maxMessageBytes: number): void {
  const where = whereOf(frame);
  const { protocolVersion, index, count, totalBytes, payload } = frame;
  if (protocolVersion !== PROTOCOL_VERSION) throw protocolMismatch(protocolVersion);
  if (count < 1) throw corrupt(where, "a count of at least 1", `${count}`);
  if (index >= count) throw corrupt(where, `an index below ${count}`, `${index}`);
  if (totalBytes > maxMessageBytes) throw tooLong(where, totalBytes, maxMessageBytes);
  if (index < count - 1 && payload.byteLength < LEAST_PIECE_BYTES) {
    throw corrupt(where, `a payload of at least ${LEAST_PIECE_BYTES} bytes`, `${payload.byteLength}`);
  }
}

/** Throws MESSAGE_CORRUPT where two frames are not of one message. */
export function expectSameMessage(frame: Frame, first: Frame): void {
  const of = ({ messageId, count, totalBytes }: Frame): string =>
    `message ${messageId} of ${count} frames and ${totalBytes} bytes`;
  if (of(frame) !== of(first)) throw corrupt(whereOf(frame), of(first), of(frame));
}

/** The message whose frames are `parts`, all of them and in order. Throws MESSAGE_CORRUPT where it has changed. */
export function joined(parts: readonly Frame[]): Uint8Array {
  const last = parts[parts.length - 1]!;
  const where = `message ${last.messageId}`;
  const payloads = parts.map(({ payload }) => payload);
  const received = lengthOf(payloads);
  if (received !== last.totalBytes) throw corrupt(where, `${last.totalBytes} bytes`, `${received}`);
  const hash = createHash("sha256");
  for (const payload of payloads) hash.update(payload);
  if (Buffer.compare(hash.digest(), last.sha256) !== 0) {
    throw corrupt(where, "the checksum it was sent with", "another");
  }
  return owned(payloads);
}

/** The parts as one, in memory that nothing else views: where that is so of the only part, it is not copied. */
function owned(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  const alone = parts.length === 1 && only!.buffer.byteLength - only!.byteLength <= FRAME_OVERHEAD;
  return alone ? only! : together(parts);
}

/** What one side says about a peer of another protocol version. */
export function protocolMismatch(other: number | string, ours: number = PROTOCOL_VERSION): SkeinError {
  const message = `this side speaks ${ours}, the other side ${other}: run the same Skein version on both`;
  return new SkeinError("PROTOCOL_MISMATCH", message);
}

/** REFUSED: `where: n bytes are over the limit of m: …`. */
export function tooLong(where: string, bytes: number, maxMessageBytes: number): SkeinError {
  const advice = "send smaller fragments or raise the transport's maxMessageBytes on both sides";
  return new SkeinError(
    "REFUSED",
    `${where}: ${bytes} bytes are over the limit of ${maxMessageBytes}: ${advice}`,
  );
}
