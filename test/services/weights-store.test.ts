import { describe, expect, it } from "vitest";
import { weightsOf, type VerifiedWeights } from "../../core/weights/payload.js";
import { WeightsStore } from "../../services/actor/weights-store.js";
import { sampleWeights } from "../transport/helpers.js";

const verified = (version: number): VerifiedWeights => weightsOf(sampleWeights(version));

describe("a weights store", () => {
  it("holds nothing at first", () => {
    const store = new WeightsStore(3);
    expect(store.version).toBe(-1);
    expect(store.rootHash).toBe("");
    expect(store.get(0)).toBeNull();
  });

  it("keeps the newest, its root hash, and as many before it as told", () => {
    const store = new WeightsStore(3);
    for (let version = 0; version < 6; version++) store.put(verified(version));
    expect(store.version).toBe(5);
    expect(store.rootHash).toBe(verified(5).manifest.rootHash);
    expect([2, 3, 4, 5].map((version) => store.get(version)?.version ?? null)).toEqual([null, 3, 4, 5]);
  });

  it("wakes who waits once a version is new enough, and nobody before", async () => {
    const store = new WeightsStore(3);
    const woken: string[] = [];
    const waiting = [2, 1, 2].map(async (version, k) => {
      const newest = await store.atLeast(version);
      woken.push(`${k} with ${newest.version}`);
    });
    store.put(verified(0));
    await new Promise(setImmediate);
    expect(woken).toEqual([]);
    store.put(verified(1));
    await new Promise(setImmediate);
    expect(woken).toEqual(["1 with 1"]);
    store.put(verified(4));
    await Promise.all(waiting);
    expect(woken.sort()).toEqual(["0 with 4", "1 with 1", "2 with 4"]);
    expect((await store.atLeast(3)).version).toBe(4);
  });
});
