/** Messages in pieces: whole again, or refused. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import { FrameAssembler, frameCodec, split, type Frame, type Message } from "../../core/transport/frames.js";
import { decodes, mutate } from "../fuzz/mutate.js";

const LIMIT = 100_000;

function bytesOf(length: number, seed = 1): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.integer(256));
}

function assemble(frames: readonly Frame[], assembler = new FrameAssembler(LIMIT)): Message[] {
  return frames.flatMap((frame) => assembler.push(frameCodec.encode(frame)) ?? []);
}

function refusalOf(frames: readonly Frame[]): SkeinError {
  try {
    assemble(frames);
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
  throw new Error("assembled");
}

describe("splitting", () => {
  it.each([
    [0, 1],
    [1, 1],
    [999, 1],
    [1000, 1],
    [1001, 2],
    [2000, 2],
    [54_321, 55],
  ])("%i bytes by 1000 gives %i frames, and the same bytes again", (length, count) => {
    const bytes = bytesOf(length);
    const frames = split(7, bytes, 1000);
    expect(frames).toHaveLength(count);
    expect(frames.map((frame) => frame.sha256.length)).toEqual([...Array<number>(count - 1).fill(0), 32]);
    expect(Math.max(...frames.map((frame) => frame.payload.length))).toBeLessThanOrEqual(1000);
    const [message, ...more] = assemble(frames);
    expect(more).toHaveLength(0);
    expect(message?.id).toBe(7);
    expect(Buffer.compare(message!.bytes, bytes)).toBe(0);
  });

  it("keeps several messages of one stream apart", () => {
    const sizes = [5000, 0, 1, 1000, 3000];
    const frames = sizes.flatMap((size, i) => split(i, bytesOf(size, i), 1000));
    expect(assemble(frames).map((message) => message.bytes.length)).toEqual(sizes);
  });

  it("gives every message memory of its own, even where all came in one piece", () => {
    const frames = [1, 1000, 2500].flatMap((size, i) => split(i, bytesOf(size, i), 1000));
    const encoded = frames.map((frame) => frameCodec.encode(frame));
    const arrived = new Uint8Array(Buffer.concat(encoded));
    const assembler = new FrameAssembler(LIMIT);
    let at = 0;
    const messages = encoded.flatMap(
      ({ length }) => assembler.push(arrived.subarray(at, (at += length))) ?? [],
    );
    for (const [i, { bytes }] of messages.entries()) {
      expect(bytes.buffer.byteLength).toBe(bytes.length);
      structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
      for (const later of messages.slice(i + 1)) {
        expect(Buffer.compare(later.bytes, bytesOf(later.bytes.length, later.id))).toBe(0);
      }
    }
    expect(arrived.length).toBeGreaterThan(3500);
  });
});

describe("the assembler refuses", () => {
  const frames = split(3, bytesOf(3500), 1000);
  const [first, second, third, last] = frames as [Frame, Frame, Frame, Frame];
  const flipped = Uint8Array.from(second.payload, (byte, i) => (i === 500 ? byte ^ 64 : byte));
  const cases: [what: string, frames: Frame[], complaint: RegExp][] = [
    ["a missing frame", [first, third, last], /expected index 1, got 2/],
    ["a repeated frame", [first, first], /expected index 1, got 0/],
    ["a start in the middle", [second], /expected index 0, got 1/],
    ["a flipped bit", [first, { ...second, payload: flipped }, third, last], /checksum/],
    ["a missing checksum", [first, second, third, { ...last, sha256: new Uint8Array(0) }], /checksum/],
    [
      "a payload too short",
      [first, second, third, { ...last, payload: last.payload.subarray(1) }],
      /3500 bytes, got 3499/,
    ],
    [
      "a payload too long",
      [first, second, third, { ...last, payload: second.payload }],
      /3500 bytes in all, got 4000/,
    ],
    [
      "an empty payload",
      [first, { ...second, payload: new Uint8Array(0) }],
      /a payload of at least 512 bytes, got 0/,
    ],
    [
      "a frame of another message",
      [first, { ...second, messageId: 4 }],
      /expected message 3 .*got message 4/,
    ],
    ["a count that changes", [first, { ...second, count: 9 }], /of 4 frames .*of 9 frames/],
    ["a length that changes", [first, { ...second, totalBytes: 1 }], /3500 bytes, got .* 1 bytes/],
    ["a count of none", [{ ...first, count: 0 }], /count of at least 1, got 0/],
    ["an id that comes twice", [...frames, ...frames], /a message after 3, got 3/],
    ["an id that goes back", [...frames, ...split(2, bytesOf(5), 1000)], /a message after 3, got 2/],
  ];

  it.each(cases)("%s", (_, damaged, complaint) => {
    const error = refusalOf(damaged);
    expect(error.code).toBe("MESSAGE_CORRUPT");
    expect(error.message).toMatch(complaint);
  });

  it("another protocol version, naming both", () => {
    const error = refusalOf([{ ...first, protocolVersion: 2 }]);
    expect(error.code).toBe("PROTOCOL_MISMATCH");
    expect(error.message).toBe("this side speaks 1, the other side 2: run the same Skein version on both");
  });

  it("a message over the limit, at its first frame", () => {
    const [large] = split(1, bytesOf(LIMIT + 1), 1000);
    const error = refusalOf([large!]);
    expect(error.code).toBe("REFUSED");
    expect(error.message).toContain(`${LIMIT + 1} bytes are over the limit of ${LIMIT}`);
  });

  it("everything after a first offence", () => {
    const assembler = new FrameAssembler(LIMIT);
    expect(() => assemble([second], assembler)).toThrow(SkeinError);
    expect(() => assemble(frames, assembler)).toThrow("expected index 0, got 1");
  });

  it("an end in the middle of a message", () => {
    const assembler = new FrameAssembler(LIMIT);
    assemble([first, second], assembler);
    expect(() => assembler.expectWhole()).toThrow("expected 4 frames, got the end of the stream after 2");
    assemble([third, last], assembler);
    expect(() => assembler.expectWhole()).not.toThrow();
  });
});

describe("fuzz", () => {
  it("ends in the message that was sent or in a SkeinError, 3000 times", () => {
    const random = new Random(4711);
    const bytes = bytesOf(2500);
    const encoded = split(1, bytes, 1000).map((frame) => frameCodec.encode(frame));
    let whole = 0;
    for (let i = 0; i < 3000; i++) {
      const assembler = new FrameAssembler(LIMIT);
      const struck = random.integer(encoded.length);
      const messages: Message[] = [];
      decodes(() => {
        encoded.forEach((frame, at) => {
          const message = assembler.push(at === struck ? mutate(frame, random) : frame);
          if (message !== null) messages.push(message);
        });
      });
      for (const message of messages) {
        whole += 1;
        expect(Buffer.compare(message.bytes, bytes)).toBe(0);
      }
    }
    expect(whole).toBeLessThan(1500);
  });
});
