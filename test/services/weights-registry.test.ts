import { describe, expect, it } from "vitest";
import { WeightsRegistry } from "../../services/coordinator/weights-registry.js";
import { sampleWeights } from "../transport/helpers.js";

describe("a weights registry", () => {
  it("hands a new watcher the newest version, whatever came before it", async () => {
    const registry = new WeightsRegistry(4);
    for (const version of [0, 1, 2]) registry.publish(sampleWeights(version));
    const watch = registry.watch(-1, new AbortController().signal);
    expect((await watch.next()).value).toEqual(sampleWeights(2));
    await watch.return(undefined);
  });

  it("wakes a waiting watcher, and lets a slow one skip versions", async () => {
    const registry = new WeightsRegistry(4);
    const watch = registry.watch(-1, new AbortController().signal);
    const first = watch.next();
    registry.publish(sampleWeights(0));
    expect(((await first).value as { version: number }).version).toBe(0);
    for (const version of [1, 2, 3]) registry.publish(sampleWeights(version));
    expect(((await watch.next()).value as { version: number }).version).toBe(3);
    await watch.return(undefined);
  });

  it("shows every watcher a rising sequence that ends at the newest, whatever their speeds", async () => {
    const registry = new WeightsRegistry(3);
    const stop = new AbortController();
    const speeds = [1, 2, 5];
    const seen = speeds.map(async (speed) => {
      const versions: number[] = [];
      for await (const { version } of registry.watch(-1, stop.signal)) {
        versions.push(version);
        for (let k = 0; k < speed; k++) await new Promise(setImmediate);
      }
      return versions;
    });
    for (let version = 0; version < 20; version++) {
      registry.publish(sampleWeights(version));
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
    const registry = new WeightsRegistry(4);
    registry.publish(sampleWeights(5));
    const watch = registry.watch(5, new AbortController().signal);
    const next = watch.next();
    registry.publish(sampleWeights(5));
    registry.publish(sampleWeights(6));
    expect(((await next).value as { version: number }).version).toBe(6);
    await watch.return(undefined);
  });

  it("ends a watch when its signal aborts, waiting or not, and counts who watches", async () => {
    const registry = new WeightsRegistry(4);
    const stop = new AbortController();
    const waiting = registry.watch(-1, stop.signal).next();
    expect(registry.watchers).toBe(1);
    stop.abort();
    expect((await waiting).done).toBe(true);
    expect(registry.watchers).toBe(0);
    expect((await registry.watch(-1, stop.signal).next()).done).toBe(true);
    expect(registry.watchers).toBe(0);
  });

  it("keeps as many versions as told and says which there are when asked for another", () => {
    const registry = new WeightsRegistry(3);
    for (let version = 0; version < 6; version++) registry.publish(sampleWeights(version));
    expect([3, 4, 5].map((version) => registry.fetch(version))).toEqual(
      [3, 4, 5].map((v) => sampleWeights(v)),
    );
    expect(() => registry.fetch(2)).toThrow(/version 2 is not kept; available: 3, 4, 5/);
    expect(() => new WeightsRegistry(3).fetch(0)).toThrow(/available: none/);
  });

  it("takes the newest version twice and refuses an older one", () => {
    const registry = new WeightsRegistry(3);
    registry.publish(sampleWeights(4));
    registry.publish(sampleWeights(4));
    expect(() => registry.publish(sampleWeights(3))).toThrow(/at least 4, got 3/);
    expect(registry.version).toBe(4);
  });

  it("forgets everything when a learner goes back, and nothing when it does not", () => {
    const registry = new WeightsRegistry(3);
    registry.publish(sampleWeights(4));
    registry.publish(sampleWeights(5));
    registry.rewind(5);
    registry.rewind(8);
    expect(registry.fetch(4).version).toBe(4);
    registry.rewind(4);
    expect(registry.version).toBe(-1);
    // Not even version 4 stays: the learner's own is published next.
    expect(() => registry.fetch(4)).toThrow(/available: none/);
    registry.publish(sampleWeights(4));
    expect(registry.version).toBe(4);
  });
});
