import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { FanOut, type Watcher } from "../../services/coordinator/fan-out.js";

/** How many take weights from each address, and how far the furthest is from the coordinator. */
function shapeOf(tree: FanOut, watchers: readonly Watcher[]) {
  const receivers = new Map<string, number>();
  const source = new Map<string, string>();
  for (const watcher of watchers) {
    const from = tree.sourceOf(watcher);
    receivers.set(from, (receivers.get(from) ?? 0) + 1);
    source.set(watcher.relayAddress, from);
  }
  const depthOf = (address: string): number =>
    address === "" ? 0 : 1 + depthOf(source.get(address) ?? "a source that does not watch");
  return { receivers, depth: Math.max(...watchers.map(({ relayAddress }) => depthOf(relayAddress))) };
}

describe("the fan-out tree", () => {
  it("lets nobody serve more than fanOut, at the least depth, for any number of relays", () => {
    for (const fanOut of [1, 2, 4, 7]) {
      const tree = new FanOut(fanOut);
      const watchers: Watcher[] = [];
      for (let n = 1; n <= 90; n++) {
        watchers.push(tree.join(`host:${n}`));
        const { receivers, depth } = shapeOf(tree, watchers);
        expect(Math.max(...receivers.values())).toBeLessThanOrEqual(fanOut);
        let reachable = 0;
        for (let level = 1; level < depth; level++) reachable += fanOut ** level;
        expect(reachable).toBeLessThan(n);
      }
      expect(tree.size).toBe(90);
    }
  });

  it("stays one whatever comes and goes, and moves one other at most when one leaves", () => {
    const random = new Random(3);
    const tree = new FanOut(3);
    let watchers: Watcher[] = [];
    for (let n = 0; n < 2000; n++) {
      if (watchers.length < 2 || random.uniform() < 0.52) {
        watchers.push(tree.join(`host:${n}`));
        continue;
      }
      const places = new Map(watchers.map((watcher) => [watcher, watcher.place]));
      const gone = watchers[random.integer(watchers.length)]!;
      tree.leave(gone);
      watchers = watchers.filter((watcher) => watcher !== gone);
      const moved = watchers.filter((watcher) => watcher.place !== places.get(watcher));
      expect(moved.length).toBeLessThanOrEqual(1);
      const { receivers, depth } = shapeOf(tree, watchers);
      expect(Math.max(...receivers.values())).toBeLessThanOrEqual(3);
      expect(depth).toBeLessThan(12);
    }
  });

  it("puts those that do not relay at its leaves, and at the coordinator where relays are full", () => {
    const tree = new FanOut(2);
    const leaves = [1, 2, 3, 4].map(() => tree.join(""));
    const relay = tree.join("host:1");
    expect([relay, ...leaves].map((watcher) => tree.sourceOf(watcher))).toEqual([
      "",
      "",
      "host:1",
      "host:1",
      "",
    ]);
    tree.leave(relay);
    expect(leaves.map((watcher) => tree.sourceOf(watcher))).toEqual(["", "", "", ""]);
    tree.leave(leaves[0]!);
    expect(tree.size).toBe(3);
  });

  it("of width 0 sends everybody to the coordinator", () => {
    const tree = new FanOut(0);
    const watchers = [1, 2, 3].map((n) => tree.join(`host:${n}`));
    expect(watchers.map((watcher) => tree.sourceOf(watcher))).toEqual(["", "", ""]);
  });
});
