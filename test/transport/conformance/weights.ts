/** Weights over any transport: whole, newest first, never back. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../../core/errors.js";
import { encodeWeights } from "../../../core/transport/codec.js";
import type { Control } from "../../../core/transport/transport.js";
import type { WeightsSnapshot } from "../../../core/types.js";
import { eventually, failureOf, sampleWeights, SmallCoordinator } from "../helpers.js";
import { Harness, sameBytes, type Kind } from "./harness.js";

export function weightsConformance(kind: Kind): void {
  describe("weights", () => {
    const h = new Harness(kind);

    it("publishes and fetches a snapshot unchanged, over 1 MiB too", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const snapshot = sampleWeights(12, 700_000);
      await client.publishWeights(snapshot);
      expect(sameBytes(encodeWeights(control.newest ?? sampleWeights(0)), encodeWeights(snapshot))).toBe(
        true,
      );
      expect(sameBytes(encodeWeights(await client.fetchWeights(12)), encodeWeights(snapshot))).toBe(true);
    });

    it("says that a version is not kept any more", async () => {
      const { client } = await h.coordinated(new SmallCoordinator());
      const error = await failureOf(client.fetchWeights(3));
      expect(error).toMatchObject({ code: "REFUSED", message: "version 3 is not kept: only the newest is" });
    });

    it("refuses a snapshot over maxMessageBytes before sending it", async () => {
      const { client } = await h.coordinated(new SmallCoordinator(), h.make({ maxMessageBytes: 100_000 }));
      const error = await failureOf(client.publishWeights(sampleWeights(1, 50_000)));
      expect(error.code).toBe("REFUSED");
      expect(error.message).toMatch(/^weights 1: 2\d+ bytes are over the limit of 100000: /);
    });

    it("gives a watcher the current snapshot, then every newer one it waits for", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      await control.publishWeights(sampleWeights(4));
      const watch = watching(client, -1);
      expect(await watch.next()).toStrictEqual(sampleWeights(4));
      await client.publishWeights(sampleWeights(5));
      expect(await watch.next()).toStrictEqual(sampleWeights(5));
      await watch.stop();
      await eventually("the coordinator to hear of the end", () => control.watchesOver === 1);
    });

    it("gives nothing at or below the version a watch starts from", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      await control.publishWeights(sampleWeights(4));
      const watch = watching(client, 4);
      const next = watch.next();
      await eventually("the watch to begin", () => control.watchedFrom.length === 1);
      await client.publishWeights(sampleWeights(6));
      expect((await next).version).toBe(6);
      await watch.stop();
    });

    it("lets a slow watcher skip to the newest", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const watch = watching(client, -1);
      await control.publishWeights(sampleWeights(1));
      expect((await watch.next()).version).toBe(1);
      for (let version = 2; version <= 60; version++) {
        await control.publishWeights(sampleWeights(version));
        await client.status();
      }
      await eventually("the newest to be on its way", () => control.handedOut.includes(60));
      await client.status();
      const versions = [(await watch.next()).version];
      while (versions.at(-1) !== 60) versions.push((await watch.next()).version);
      expect(versions.length).toBeLessThanOrEqual(3);
      await watch.stop();
    });

    it("never lets versions go back, whatever the coordinator offers", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      control.watchWeights = async function* () {
        for (const version of [3, 2, 3, 5, 1, 6]) yield await Promise.resolve(sampleWeights(version));
      };
      const versions: number[] = [];
      for await (const { version } of client.watchWeights(-1, new AbortController().signal)) {
        versions.push(version);
      }
      expect(versions.at(-1)).toBe(6);
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    });

    it("still gives the last snapshot of a watch that the coordinator ends", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      control.watchWeights = async function* () {
        yield await Promise.resolve(sampleWeights(1));
        yield sampleWeights(2);
      };
      const watch = client.watchWeights(-1, new AbortController().signal)[Symbol.asyncIterator]();
      expect((await watch.next()).value).toStrictEqual(sampleWeights(1));
      // Answered after the end of the watch has been sent on the same connection.
      await client.status();
      expect((await watch.next()).value).toStrictEqual(sampleWeights(2));
      expect((await watch.next()).done).toBe(true);
    });

    it("resumes a watch above the last version seen when the coordinator restarts", async () => {
      const first = await h.coordinated(new SmallCoordinator());
      await first.control.publishWeights(sampleWeights(7));
      const watch = watching(first.client, -1);
      expect((await watch.next()).version).toBe(7);
      const next = watch.next();
      await first.server.close();
      const restarted = new SmallCoordinator();
      await restarted.publishWeights(sampleWeights(6));
      await h.transport.serveControl(restarted, first.server.address);
      await eventually("the watch to come back", () => restarted.watchedFrom.length > 0);
      expect(restarted.watchedFrom).toEqual([7]);
      await restarted.publishWeights(sampleWeights(8));
      expect((await next).version).toBe(8);
      await watch.stop();
    });

    it("ends a watch with UNAVAILABLE once the coordinator has been away too long", async () => {
      const impatient = h.make({ reconnectSeconds: 0.4 });
      const { server, client } = await h.coordinated(new SmallCoordinator(), impatient);
      const error = failureOf(watching(client, -1).next());
      await server.close();
      expect(await error).toMatchObject({ code: "UNAVAILABLE" });
      expect((await error).message).toContain(`nobody answered at ${server.address} for 0.4 s`);
    });

    it("ends a watch quietly when its client closes", async () => {
      const { client } = await h.coordinated(new SmallCoordinator());
      const watch = client.watchWeights(-1, new AbortController().signal)[Symbol.asyncIterator]();
      const next = watch.next();
      await client.close();
      expect((await next).done).toBe(true);
    });

    it("passes on what a watch handler throws", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      control.watchWeights = () => {
        throw new SkeinError("REFUSED", "no weights here");
      };
      const error = await failureOf(watching(client, -1).next());
      expect(error).toMatchObject({ code: "REFUSED", message: "no weights here" });
    });
  });
}

/** A watch read one snapshot at a time. */
function watching(client: Control, afterVersion: number) {
  const abort = new AbortController();
  const iterator = client.watchWeights(afterVersion, abort.signal)[Symbol.asyncIterator]();
  return {
    next: async (): Promise<WeightsSnapshot> => {
      const result = await iterator.next();
      if (result.done === true) throw new Error("the watch ended");
      return result.value;
    },
    stop: async (): Promise<void> => {
      abort.abort();
      await iterator.return?.();
    },
  };
}
