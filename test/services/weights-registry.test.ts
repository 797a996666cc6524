import { describe, expect, it } from "vitest";
import type { WeightsAnnouncement, WeightsDelivery } from "../../core/transport/transport.js";
import { encodeDelta, weightsOf, type VerifiedWeights } from "../../core/weights/payload.js";
import { WeightsRegistry, type RegistryOptions } from "../../services/coordinator/weights-registry.js";
import { sampleDelivery, sampleWeights } from "../transport/helpers.js";

const ANY = { afterVersion: -1, relayAddress: "" };
const SETTINGS = { deltas: true, anchorEvery: 1000, fanOut: 0 };

function registryOf(options: Partial<RegistryOptions> = {}): WeightsRegistry {
  return new WeightsRegistry({ keep: 4, weights: SETTINGS, restored: null, now: () => 0, ...options });
}

function exactly(version: number, base: number | null = null) {
  return { version, oldest: version, base };
}

/** Weights of which little changes from version to version. */
function slowly(version: number): VerifiedWeights {
  const { tensors } = sampleWeights(0);
  return weightsOf({
    version,
    tensors: tensors.map((t, i) => (i === 1 ? sampleWeights(version).tensors[1]! : t)),
  });
}

function delta(parent: number, version: number): WeightsDelivery {
  const to = slowly(version);
  return { manifest: { ...to.manifest, parent }, payload: encodeDelta(slowly(parent), to)! };
}

describe("a weights registry", () => {
  it("announces the newest version to a new watcher, whatever came before it, with its hash and age", async () => {
    let now = 0;
    const registry = registryOf({ now: () => now });
    for (const version of [0, 1, 2]) registry.publish(sampleDelivery(version));
    now = 1500;
    const watch = registry.watch(ANY, new AbortController().signal);
    const { rootHash } = sampleDelivery(2).manifest;
    expect((await watch.next()).value).toEqual({ version: 2, rootHash, source: "", ageSeconds: 1.5 });
    await watch.return(undefined);
  });

  it("wakes a waiting watcher, and lets a slow one skip versions", async () => {
    const registry = registryOf();
    const watch = registry.watch(ANY, new AbortController().signal);
    const first = watch.next();
    registry.publish(sampleDelivery(0));
    expect(((await first).value as WeightsAnnouncement).version).toBe(0);
    for (const version of [1, 2, 3]) registry.publish(sampleDelivery(version));
    expect(((await watch.next()).value as WeightsAnnouncement).version).toBe(3);
    await watch.return(undefined);
  });

  it("shows every watcher a rising sequence that ends at the newest, whatever their speeds", async () => {
    const registry = registryOf();
    const stop = new AbortController();
    const seen = [1, 2, 5].map(async (speed) => {
      const versions: number[] = [];
      for await (const { version } of registry.watch(ANY, stop.signal)) {
        versions.push(version);
        for (let k = 0; k < speed; k++) await new Promise(setImmediate);
      }
      return versions;
    });
    for (let version = 0; version < 20; version++) {
      registry.publish(sampleDelivery(version));
      await new Promise(setImmediate);
    }
    for (let k = 0; k < 10; k++) await new Promise(setImmediate);
    stop.abort();
    for (const versions of await Promise.all(seen)) {
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
      expect(versions.at(-1)).toBe(19);
    }
  });

  it("gives a watcher nothing at or below the version it has", async () => {
    const registry = registryOf();
    registry.publish(sampleDelivery(5));
    const watch = registry.watch({ ...ANY, afterVersion: 5 }, new AbortController().signal);
    const next = watch.next();
    registry.publish(sampleDelivery(5));
    registry.publish(sampleDelivery(6));
    expect(((await next).value as WeightsAnnouncement).version).toBe(6);
    await watch.return(undefined);
  });

  it("ends a watch when its signal aborts, waiting or not, and counts who watches", async () => {
    const registry = registryOf();
    const stop = new AbortController();
    const waiting = registry.watch(ANY, stop.signal).next();
    expect(registry.watchers).toBe(1);
    stop.abort();
    expect((await waiting).done).toBe(true);
    expect(registry.watchers).toBe(0);
    expect((await registry.watch(ANY, stop.signal).next()).done).toBe(true);
    expect(registry.watchers).toBe(0);
  });

  it("names each watcher its source, and another once that one has left", async () => {
    const registry = registryOf({ weights: { ...SETTINGS, fanOut: 1 } });
    const stops = ["a:1", "b:2", "c:3"].map((relayAddress) => {
      const stop = new AbortController();
      return { stop, watch: registry.watch({ ...ANY, relayAddress }, stop.signal) };
    });
    const sources = async (of: typeof stops): Promise<string[]> => {
      const all = await Promise.all(of.map(({ watch }) => watch.next()));
      return all.map(({ value }) => (value as WeightsAnnouncement).source);
    };
    registry.publish(sampleDelivery(1));
    expect(await sources(stops)).toEqual(["", "a:1", "b:2"]);
    await stops[0]!.watch.return(undefined);
    registry.publish(sampleDelivery(2));
    // The last takes the place of the first.
    expect(await sources(stops.slice(1))).toEqual(["c:3", ""]);
    for (const { watch } of stops) await watch.return(undefined);
  });

  it("keeps as many versions as told and says which there are when asked for another", () => {
    const registry = registryOf({ keep: 3 });
    for (let version = 0; version < 6; version++) registry.publish(sampleDelivery(version));
    for (const version of [3, 4, 5])
      expect(registry.fetch(exactly(version))).toEqual(sampleDelivery(version));
    expect(registry.fetch({ version: 4, oldest: 0, base: null }).manifest.version).toBe(4);
    expect(registry.rootHashOf(3)).toBe(sampleDelivery(3).manifest.rootHash);
    expect(registry.rootHashOf(2)).toBeNull();
    expect(() => registry.fetch(exactly(2))).toThrow(/version 2 is not kept; available: 3, 4, 5/);
    expect(() => registry.fetch({ version: 2, oldest: 1, base: null })).toThrow(/from 1 to 2 is not kept/);
    expect(() => registryOf().fetch(exactly(0))).toThrow(/available: none/);
  });

  it("gives a delta from a version that is kept, else all", () => {
    const registry = registryOf({ keep: 3 });
    registry.publish(slowly(1));
    registry.publish(delta(1, 2));
    expect(registry.fetch(exactly(2, 1))).toEqual(delta(1, 2));
    expect(registry.fetch(exactly(2, 1))).toBe(registry.fetch(exactly(2, 1)));
    for (const base of [null, 0, 2, 3]) {
      expect(registry.fetch(exactly(2, base)).manifest.parent).toBeNull();
    }
    // Skipping a version makes no difference.
    registry.publish(delta(2, 3));
    expect(registry.fetch(exactly(3, 1)).manifest.parent).toBe(1);
    registry.publish(delta(3, 4));
    expect(registry.fetch(exactly(4, 1)).manifest.parent).toBeNull();
  });

  it("gives anchors in full, and everything where deltas are off", () => {
    const anchored = registryOf({ weights: { ...SETTINGS, anchorEvery: 2 } });
    anchored.publish(slowly(1));
    anchored.publish(delta(1, 2));
    anchored.publish(delta(2, 3));
    expect([2, 3].map((version) => anchored.fetch(exactly(version, 1)).manifest.parent)).toEqual([null, 1]);
    const full = registryOf({ weights: { ...SETTINGS, deltas: false } });
    full.publish(slowly(1));
    full.publish(delta(1, 3));
    expect(full.fetch(exactly(3, 1)).manifest.parent).toBeNull();
  });

  it("takes the newest version twice and refuses an older one, and others under its number", () => {
    const registry = registryOf();
    registry.publish(sampleDelivery(4));
    registry.publish(sampleDelivery(4));
    expect(() => registry.publish(sampleDelivery(3))).toThrow(/weights 3: expected a version of at least 4/);
    expect(() => registry.publish(sampleDelivery(4, 10))).toThrow(
      /weights 4: it was published with root hash/,
    );
    expect(registry.version).toBe(4);
  });

  it("refuses a delta whose parent it does not have, and takes those weights in full then", () => {
    const registry = registryOf();
    registry.publish(sampleDelivery(1));
    expect(() => registry.publish(delta(2, 3))).toThrow(/its parent 2 is not kept: publish it in full/);
    expect(registry.version).toBe(1);
    registry.publish(sampleDelivery(3));
    expect(registry.version).toBe(3);
  });

  it("refuses weights that are not what their manifest says, and stays as it was", async () => {
    const registry = registryOf();
    registry.publish(sampleDelivery(1));
    const { manifest, payload } = sampleDelivery(2);
    const flipped = payload.slice();
    flipped[9]! ^= 4;
    expect(() => registry.publish({ manifest, payload: flipped })).toThrow(/expected SHA-256/);
    expect(() => registry.publish({ manifest, payload: payload.slice(4) })).toThrow(/expected \d+ bytes/);
    expect(registry.version).toBe(1);
    const watch = registry.watch(ANY, new AbortController().signal);
    expect(((await watch.next()).value as WeightsAnnouncement).version).toBe(1);
    await watch.return(undefined);
  });

  it("goes on above what the run published before it was started again", async () => {
    const { rootHash } = sampleDelivery(7).manifest;
    const registry = registryOf({ restored: { version: 7, rootHash } });
    expect(registry.version).toBe(7);
    expect(() => registry.publish(sampleDelivery(6))).toThrow(/at least 7/);
    expect(() => registry.publish(sampleDelivery(7, 10))).toThrow(/it was published with root hash/);
    const watch = registry.watch(ANY, new AbortController().signal);
    const next = watch.next();
    registry.publish(sampleDelivery(7));
    expect(((await next).value as WeightsAnnouncement).version).toBe(7);
    expect(registry.fetch(exactly(7))).toEqual(sampleDelivery(7));
    await watch.return(undefined);
  });
});
