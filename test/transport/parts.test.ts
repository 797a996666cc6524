/** Messages in pieces of memory: joined, prefixed, and lying where numbers can be read. */
import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { columnParts, toColumn } from "../../core/transport/columns.js";
import { decodeRollout, encodeRollout } from "../../core/transport/codec.js";
import { encodeParts, FrameAssembler, frameCodec } from "../../core/transport/frames.js";
import { alignedPrefix, lengthOf, PartReader, prefixOf, together } from "../../core/transport/parts.js";
import { messageCodec } from "../../core/transport/schema.js";
import { sampleRollout } from "./helpers.js";

describe("a prefix", () => {
  // 7 bits a byte, low ones first, the highest bit on all but the last (protobuf's varint).
  it.each([
    [0, [0x22, 0]],
    [127, [0x22, 127]],
    [128, [0x22, 0x80, 1]],
    [16_383, [0x22, 0xff, 0x7f]],
    [16_384, [0x22, 0x80, 0x80, 1]],
    [2 ** 31, [0x22, 0x80, 0x80, 0x80, 0x80, 8]],
  ])("of field 4 and %i bytes is tag and length", (length, bytes) => {
    expect([...prefixOf(4, length)]).toEqual(bytes);
  });

  it("puts what follows where it is wanted, whatever stands before", () => {
    for (let at = 0; at < 9; at++) {
      for (const length of [0, 1, 127, 128, 20_000]) {
        for (const past of [0, 1, 2, 3]) {
          const prefix = alignedPrefix({ field: 7, padding: 8 }, length, at, past);
          expect((at + prefix.byteLength) % 4).toBe(past);
        }
      }
    }
  });
});

describe("parts", () => {
  it("are read as one, in pieces of any length", () => {
    const random = new Random(7);
    const parts = Array.from({ length: 40 }, () =>
      Uint8Array.from({ length: random.integer(9) }, () => random.integer(256)),
    );
    const whole = Buffer.concat(parts);
    expect(Buffer.from(together(parts))).toEqual(whole);
    expect(lengthOf(parts)).toBe(whole.byteLength);
    const reader = new PartReader(parts);
    const target = new Uint8Array(whole.byteLength);
    for (let at = 0; at < target.byteLength;) {
      const length = Math.min(random.integer(7), target.byteLength - at);
      reader.fill(target, at, length);
      at += length;
    }
    expect(Buffer.from(target)).toEqual(whole);
  });
});

describe("a column", () => {
  it("is what the schema reads, its data at a multiple of 4 bytes", () => {
    const codec = messageCodec<{ readonly columns: readonly { readonly data: Buffer }[] }>("Rollout");
    let aligned = 0;
    for (let at = 0; at < 200; at++) {
      const before = Buffer.concat([prefixOf(1, at), Buffer.alloc(at, 97)]);
      const data = Float32Array.from({ length: at }, (_, i) => i);
      const parts = columnParts(7, toColumn("rewards", data), before.byteLength);
      const bytes = together([before, ...parts]);
      expect(codec.decode(bytes).columns).toMatchObject([
        { name: "rewards", dtype: "DTYPE_FLOAT32", width: 1 },
      ]);
      const start = bytes.byteLength - data.byteLength;
      expect(Buffer.compare(bytes.subarray(start), Buffer.from(data.buffer))).toBe(0);
      if (start % 4 === 0) aligned += 1;
    }
    // But where the padding takes the length over the edge of another byte.
    expect(aligned).toBeGreaterThan(195);
  });
});

describe("a rollout of one frame", () => {
  it("is viewed where gRPC puts it, and no byte of it is copied", () => {
    const rollout = sampleRollout(1, 3000);
    const [frame] = encodeParts(5, [encodeRollout(rollout)], 1_000_000);
    // gRPC reads a message of more than half a pool (4 KiB) to memory of its own, after 5 bytes of prefix.
    const memory = Buffer.concat([Buffer.alloc(5), frame!]);
    const message = new FrameAssembler(1_000_000).push(memory.subarray(5));
    expect(message?.bytes.buffer).toBe(memory.buffer);
    const { columns } = decodeRollout(message!.bytes);
    for (const array of [columns.observations, columns.actions, columns.rewards, columns.offsets]) {
      expect(array.buffer).toBe(memory.buffer);
    }
    expect(columns).toStrictEqual(rollout.columns);
  });

  it("is copied where something else lies in the same memory", () => {
    const [first, second] = [1, 2].map(
      (id) => encodeParts(id, [encodeRollout(sampleRollout(id))], 1_000_000)[0]!,
    );
    const memory = Buffer.concat([first!, second!]);
    const message = new FrameAssembler(1_000_000).push(memory.subarray(0, first!.byteLength));
    expect(message?.bytes.buffer).not.toBe(memory.buffer);
    expect(message?.bytes.buffer.byteLength).toBe(message?.bytes.byteLength);
  });

  it("has a checksum that covers its whole payload", () => {
    const [frame] = encodeParts(1, [Buffer.from("abc"), Buffer.from("def")], 100);
    // SHA-256 of "abcdef".
    expect(Buffer.from(frameCodec.decode(frame!).sha256).toString("hex")).toBe(
      "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721",
    );
  });
});
