/** Weights as they travel: exact there, and firm against whatever is not what the manifest says. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import type { WeightsDelivery } from "../../core/transport/transport.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { describeWeights, rootHashOf } from "../../core/weights/manifest.js";
import { encodeDelta, verifyWeights, weightsOf, type VerifiedWeights } from "../../core/weights/payload.js";
import { bytesOf, changed, network } from "./fixture.js";

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

function complaintOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof SkeinError && error.code === "MESSAGE_CORRUPT") return error.message;
    throw error;
  }
  return "none";
}

function deltaOf(from: VerifiedWeights, to: VerifiedWeights): WeightsDelivery {
  const payload = encodeDelta(from, to);
  if (payload === null) throw new Error("expected a delta");
  return { manifest: { ...to.manifest, parent: from.manifest.version }, payload };
}

/** A delta read word by word, as weights.proto describes it. */
function slowDelta(base: WeightsSnapshot, payload: Uint8Array): string {
  const view = new DataView(payload.buffer, payload.byteOffset);
  let at = 0;
  const parts = base.tensors.map(({ data }) => {
    const bytes = Buffer.from(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
    const count = view.getUint32(at, true);
    at += 4;
    const sparse = count > 0 && count < data.length;
    for (let k = 0; k < count; k++) {
      const index = sparse ? view.getUint32(at + 4 * k, true) : k;
      bytes.writeUInt32LE(view.getUint32(at + 4 * (k + (sparse ? count : 0)), true), 4 * index);
    }
    at += 4 * (sparse ? 2 * count : count);
    return bytes;
  });
  expect(at).toBe(payload.byteLength);
  return Buffer.concat(parts).toString("hex");
}

describe("a manifest", () => {
  it("names each tensor's hash, and a root hash over all of them", () => {
    const { tensors, rootHash, version, parent } = describeWeights({
      version: 3,
      tensors: [
        { name: "a/b", dtype: "float32", shape: [1, 2], data: Float32Array.of(1, -0) },
        { name: 'ü"', dtype: "int32", shape: [], data: Int32Array.of(7) },
      ],
    });
    expect({ version, parent }).toEqual({ version: 3, parent: null });
    const first = sha256(Buffer.from("0000803f00000080", "hex"));
    const second = sha256(Buffer.from("07000000", "hex"));
    expect(tensors.map(({ sha256: hash, bytes }) => [hash, bytes])).toEqual([
      [first, 8],
      [second, 4],
    ]);
    expect(rootHash).toBe(sha256(`["a/b","float32",[1,2],"${first}"]\n["ü\\"","int32",[],"${second}"]\n`));
  });

  it("has a root hash that depends on name, type, shape, content and order", () => {
    const { tensors } = describeWeights(network(1, 5));
    const [first, second] = tensors;
    const variants = [
      tensors,
      [{ ...first!, name: "other" }, ...tensors.slice(1)],
      [{ ...first!, dtype: "int32" as const }, ...tensors.slice(1)],
      [{ ...first!, shape: [96] }, ...tensors.slice(1)],
      [{ ...first!, sha256: second!.sha256 }, ...tensors.slice(1)],
      [second!, first!, ...tensors.slice(2)],
    ];
    expect(new Set(variants.map(rootHashOf)).size).toBe(variants.length);
  });

  it("is refused to weights that are not finite or of the wrong length", () => {
    const of = (data: Float32Array) => () =>
      describeWeights({ version: 9, tensors: [{ name: "w", dtype: "float32", shape: [3], data }] });
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      expect(of(Float32Array.of(1, bad, -1))).toThrow(/weights 9, tensor "w": expected finite numbers/);
    }
    expect(of(Float32Array.of(3e38, -3e38, 1e-45))).not.toThrow();
    expect(of(Float32Array.of(1))).toThrow('tensor "w": expected data [3], got [1]');
  });
});

describe("a full payload", () => {
  it("is the bytes of every tensor, and comes back exactly from any alignment", () => {
    const snapshot = network(4, 6);
    const { manifest, payload } = weightsOf(snapshot);
    expect(`4 ${Buffer.from(payload).toString("hex")}`).toBe(bytesOf(snapshot));
    for (const shift of [0, 1, 2, 3]) {
      const moved = new Uint8Array(payload.byteLength + shift).subarray(shift);
      moved.set(payload);
      const back = verifyWeights({ manifest, payload: moved }, manifest.rootHash, null);
      expect(back.snapshot).toStrictEqual(snapshot);
    }
  });

  it("is unmoved by what becomes of the snapshot it was made from", () => {
    const snapshot = network(4, 6);
    const before = bytesOf(snapshot);
    const weights = weightsOf(snapshot);
    snapshot.tensors[0]!.data.fill(7);
    expect(bytesOf(weights.snapshot)).toBe(before);
  });
});

describe("a delta", () => {
  const random = new Random(11);

  it.each([0, 1, 5, 20, 47])("of about %i entries makes exactly the new weights", (entries) => {
    for (let trial = 0; trial < 20; trial++) {
      const before = network(7, trial);
      const after = changed(before, 9, random, entries);
      const [from, to] = [weightsOf(before), weightsOf(after)];
      const delta = deltaOf(from, to);
      expect(delta.payload.byteLength).toBeLessThan(to.payload.byteLength);
      expect(`9 ${slowDelta(before, delta.payload)}`).toBe(bytesOf(after));
      const back = verifyWeights(delta, to.manifest.rootHash, from);
      expect(back.snapshot).toStrictEqual(to.snapshot);
      expect(back.manifest).toStrictEqual(to.manifest);
      expect(Buffer.compare(back.payload, to.payload)).toBe(0);
    }
  });

  it("carries a change of sign of zero, which only its bits show", () => {
    const make = (version: number, zero: number) =>
      weightsOf({
        version,
        tensors: [
          { name: "w", dtype: "float32", shape: [9], data: new Float32Array(9).fill(1).fill(zero, 3, 4) },
        ],
      });
    const [from, to] = [make(1, 0), make(2, -0)];
    const back = verifyWeights(deltaOf(from, to), to.manifest.rootHash, from);
    expect(Object.is(back.snapshot.tensors[0]!.data[3], -0)).toBe(true);
  });

  it("is not made where it would be no smaller, or where the network is another", () => {
    const before = weightsOf(network(1, 1));
    expect(encodeDelta(before, weightsOf(network(2, 2)))).toBeNull();
    expect(encodeDelta(before, weightsOf(network(2, 1, 100)))).toBeNull();
    const renamed = network(2, 1).tensors.map((tensor) => ({ ...tensor, name: `${tensor.name}/` }));
    expect(encodeDelta(before, weightsOf({ version: 2, tensors: renamed }))).toBeNull();
    expect(
      encodeDelta(before, weightsOf({ version: 2, tensors: network(2, 1).tensors.slice(1) })),
    ).toBeNull();
  });

  it("keeps a tensor that changed a lot whole, beside ones that changed little", () => {
    const before = network(1, 3);
    const after = {
      version: 2,
      tensors: before.tensors.map((t, i) => (i === 1 ? network(2, 4).tensors[1]! : t)),
    };
    const delta = deltaOf(weightsOf(before), weightsOf(after));
    // Counts of four tensors, and three values.
    expect(delta.payload.byteLength).toBe(4 * (4 + 3));
  });

  it("chained over 50 versions ends with exactly the full weights", () => {
    let now = network(0, 12);
    let held = weightsOf(now);
    for (let version = 1; version <= 50; version++) {
      now = changed(now, version, random, 1 + random.integer(20));
      const to = weightsOf(now);
      held = verifyWeights(deltaOf({ ...held }, to), to.manifest.rootHash, held);
    }
    expect(bytesOf(held.snapshot)).toBe(bytesOf(now));
    expect(Buffer.compare(held.payload, weightsOf(now).payload)).toBe(0);
  });

  it("leaves the weights it starts from as they were", () => {
    const before = network(1, 3);
    const from = weightsOf(before);
    const to = weightsOf(changed(before, 2, random, 9));
    verifyWeights(deltaOf(from, to), to.manifest.rootHash, from);
    expect(bytesOf(from.snapshot)).toBe(bytesOf(before));
  });

  it("is refused without the very weights it starts from", () => {
    const before = network(1, 3);
    const to = weightsOf(changed(before, 2, random, 9));
    const delta = deltaOf(weightsOf(before), to);
    const verify = (base: VerifiedWeights | null) => () => verifyWeights(delta, to.manifest.rootHash, base);
    expect(complaintOf(verify(null))).toMatch(/expected a delta from weights at hand/);
    expect(complaintOf(verify(weightsOf({ ...before, version: 0 })))).toMatch(/got one from 1/);
    expect(complaintOf(verify(weightsOf(network(1, 3, 100))))).toMatch(/of the same layout/);
    const others = weightsOf(changed(before, 1, random, 30));
    expect(complaintOf(verify(others))).toMatch(/expected SHA-256/);
  });
});

describe("verification", () => {
  const random = new Random(21);
  const before = network(6, 8);
  const from = weightsOf(before);
  const to = weightsOf(changed(before, 7, random, 9));
  const full: WeightsDelivery = { manifest: to.manifest, payload: to.payload };
  const forms: [string, WeightsDelivery][] = [
    ["full", full],
    ["delta", deltaOf(from, to)],
  ];
  const verify = (delivery: WeightsDelivery) => () => verifyWeights(delivery, to.manifest.rootHash, from);

  it.each(forms)("refuses a %s payload cut short or longer at every length", (_, delivery) => {
    const { manifest, payload } = delivery;
    for (let length = 0; length < payload.byteLength; length++) {
      expect(complaintOf(verify({ manifest, payload: payload.slice(0, length) }))).toMatch(/^weights 7/);
    }
    for (const extra of [1, 4, 400]) {
      const longer = Buffer.concat([payload, Buffer.alloc(extra)]);
      expect(complaintOf(verify({ manifest, payload: longer }))).toMatch(/^weights 7/);
    }
  });

  it.each(forms)(
    "refuses a %s payload with any bit flipped, or makes the very same weights",
    (_, delivery) => {
      const { manifest, payload } = delivery;
      for (let bit = 0; bit < 8 * payload.byteLength; bit++) {
        const flipped = payload.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        // An index of a delta may point at an entry that has the value already: then nothing is wrong.
        const complaint = complaintOf(() => {
          const { snapshot } = verify({ manifest, payload: flipped })();
          expect(bytesOf(snapshot)).toBe(bytesOf(to.snapshot));
        });
        if (delivery === full) expect(complaint).toMatch(/expected SHA-256/);
      }
    },
  );

  it("refuses a manifest that contradicts itself, or is of other weights", () => {
    const complaint = (manifest: Partial<typeof to.manifest>, rootHash = to.manifest.rootHash): string =>
      complaintOf(() =>
        verifyWeights({ ...full, manifest: { ...to.manifest, ...manifest } }, rootHash, from),
      );
    const [first, ...rest] = to.manifest.tensors;
    expect(complaint({ tensors: [{ ...first!, bytes: 12 }, ...rest] })).toMatch(/expected 384 bytes, got 12/);
    expect(complaint({ tensors: rest })).toMatch(/expected root hash/);
    expect(complaint({ parent: 7 })).toMatch(/expected an earlier parent, got 7/);
    expect(complaint({}, from.manifest.rootHash)).toMatch(/^weights 7: expected root hash/);
    const other = weightsOf(network(7, 99));
    expect(complaint({ tensors: other.manifest.tensors, rootHash: other.manifest.rootHash })).toMatch(
      /^weights 7: expected root hash/,
    );
  });
});
