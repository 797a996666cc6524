import { describe, expect, it } from "vitest";
import { WeightsStore } from "../../services/actor/weights-store.js";
import { sampleWeights } from "../transport/helpers.js";

describe("a weights store", () => {
  it("holds nothing at first", () => {
    const store = new WeightsStore(3);
    expect(store.version).toBe(-1);
    expect(store.get(0)).toBeNull();
  });

  it("keeps the newest and as many before it as told", () => {
    const store = new WeightsStore(3);
    for (let version = 0; version < 6; version++) store.put(sampleWeights(version));
    expect(store.version).toBe(5);
    expect([2, 3, 4, 5].map((version) => store.get(version)?.version ?? null)).toEqual([null, 3, 4, 5]);
  });

  it("wakes who waits once a version is new enough, and nobody before", async () => {
    const store = new WeightsStore(3);
    const woken: string[] = [];
    const waiting = [2, 1, 2].map(async (version, k) => {
      const newest = await store.atLeast(version);
      woken.push(`${k} with ${newest.version}`);
    });
    store.put(sampleWeights(0));
    await new Promise(setImmediate);
    expect(woken).toEqual([]);
    store.put(sampleWeights(1));
    await new Promise(setImmediate);
    expect(woken).toEqual(["1 with 1"]);
    store.put(sampleWeights(4));
    await Promise.all(waiting);
    expect(woken.sort()).toEqual(["0 with 4", "1 with 1", "2 with 4"]);
    expect((await store.atLeast(3)).version).toBe(4);
  });

  it("forgets everything when told, and who waits waits for what comes then", async () => {
    const store = new WeightsStore(3);
    store.put(sampleWeights(7));
    const waiting = store.atLeast(8);
    store.clear();
    expect(store.version).toBe(-1);
    expect(store.get(7)).toBeNull();
    store.put(sampleWeights(4));
    expect((await store.atLeast(4)).version).toBe(4);
    expect(store.get(7)).toBeNull();
    store.put(sampleWeights(8));
    expect((await waiting).version).toBe(8);
  });

  it("does not keep versions above one that went back", () => {
    const store = new WeightsStore(9);
    for (const version of [5, 6, 7, 4]) store.put(sampleWeights(version));
    expect(store.version).toBe(4);
    expect([5, 6, 7].map((version) => store.get(version))).toEqual([null, null, null]);
  });
});
