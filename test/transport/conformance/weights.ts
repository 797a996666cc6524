/** Weights over any transport: whole, newest first, never back. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../../core/errors.js";
import type {
  Control,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../../../core/transport/transport.js";
import { eventually, failureOf, sampleDelivery, SmallCoordinator } from "../helpers.js";
import { Harness, sameBytes, type Kind } from "./harness.js";

const ANY_VERSION = { afterVersion: -1, relayAddress: "" };

/** Exactly that version, in full. */
function exactly(version: number): WeightsRequest {
  return { version, oldest: version, base: null };
}

function expectSame(got: WeightsDelivery | null, expected: WeightsDelivery): void {
  expect(got?.manifest).toStrictEqual(expected.manifest);
  expect(sameBytes(got!.payload, expected.payload)).toBe(true);
}

export function weightsConformance(kind: Kind): void {
  describe("weights", () => {
    const h = new Harness(kind);

    it("publishes and fetches manifest and payload unchanged, over 1 MiB, empty, and as a delta", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const large = sampleDelivery(12, 700_000);
      const delta = {
        manifest: { ...sampleDelivery(13).manifest, parent: 12 },
        payload: Buffer.from("delta"),
      };
      const none = { manifest: { ...large.manifest, version: 14, tensors: [] }, payload: new Uint8Array(0) };
      for (const delivery of [large, delta, none]) {
        const incarnation = `learner ${delivery.manifest.version}`;
        await client.publishWeights(delivery, incarnation);
        expect(control.publishedBy).toBe(incarnation);
        expectSame(control.newest, delivery);
        expectSame(await client.fetchWeights(exactly(delivery.manifest.version)), delivery);
      }
    });

    it("asks for a range of versions and a delta from one", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      await control.publishWeights(sampleDelivery(2 ** 33), "learner");
      const requests = [0, null].map((base) => ({ version: 2 ** 33, oldest: 3, base }));
      for (const request of requests) await client.fetchWeights(request);
      expect(control.asked).toEqual(requests);
    });

    it("passes on that a version is not kept any more", async () => {
      const { client } = await h.coordinated(new SmallCoordinator());
      const error = await failureOf(client.fetchWeights(exactly(3)));
      expect(error).toMatchObject({ code: "REFUSED", message: "version 3 is not kept: only the newest is" });
    });

    it("refuses a payload over maxMessageBytes before sending it", async () => {
      const { client } = await h.coordinated(new SmallCoordinator(), h.make({ maxMessageBytes: 100_000 }));
      const error = await failureOf(client.publishWeights(sampleDelivery(1, 50_000), "learner"));
      expect(error.code).toBe("REFUSED");
      expect(error.message).toMatch(/^weights 1: 2\d+ bytes are over the limit of 100000: /);
    });

    it("waits for weights that their source does not have yet, beyond the deadline of a call", async () => {
      const { control, client } = await h.coordinated(
        new SmallCoordinator(),
        h.make({ deadlineSeconds: 0.4 }),
      );
      const fetch = control.fetchWeights.bind(control);
      control.fetchWeights = async (request) => {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return fetch(request);
      };
      await control.publishWeights(sampleDelivery(1), "learner");
      expectSame(await client.fetchWeights(exactly(1)), sampleDelivery(1));
    });

    it("gives a watcher the newest version, then every newer one it waits for", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      control.source = "host:5";
      await control.publishWeights(sampleDelivery(4), "learner");
      const watch = watching(client, { afterVersion: -1, relayAddress: "host:6" });
      const { rootHash } = sampleDelivery(4).manifest;
      expect(await watch.next()).toStrictEqual({ version: 4, rootHash, source: "host:5", ageSeconds: 0.25 });
      await client.publishWeights(sampleDelivery(5), "learner");
      expect((await watch.next()).version).toBe(5);
      await watch.stop();
      expect(control.relays).toEqual(["host:6"]);
      await eventually("the coordinator to hear of the end", () => control.watchesOver === 1);
    });

    it("gives nothing at or below the version a watch starts from", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      await control.publishWeights(sampleDelivery(4), "learner");
      const watch = watching(client, { ...ANY_VERSION, afterVersion: 4 });
      const next = watch.next();
      await eventually("the watch to begin", () => control.watchedFrom.length === 1);
      await client.publishWeights(sampleDelivery(6), "learner");
      expect((await next).version).toBe(6);
      await watch.stop();
    });

    it("lets a slow watcher skip to the newest", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const watch = watching(client);
      await control.publishWeights(sampleDelivery(1), "learner");
      expect((await watch.next()).version).toBe(1);
      for (let version = 2; version <= 60; version++) {
        await control.publishWeights(sampleDelivery(version), "learner");
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
        for (const version of [3, 2, 3, 5, 1, 6]) yield await Promise.resolve(announcementOf(version));
      };
      const versions: number[] = [];
      for await (const { version } of client.watchWeights(ANY_VERSION, new AbortController().signal)) {
        versions.push(version);
      }
      expect(versions.at(-1)).toBe(6);
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    });

    it("still gives the last announcement of a watch that the coordinator ends", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      let sawFirst: () => void = () => undefined;
      const first = new Promise<void>((resolve) => (sawFirst = resolve));
      control.watchWeights = async function* () {
        yield announcementOf(1);
        await first;
        yield announcementOf(2);
      };
      const watch = client.watchWeights(ANY_VERSION, new AbortController().signal)[Symbol.asyncIterator]();
      expect((await watch.next()).value).toStrictEqual(announcementOf(1));
      sawFirst();
      // Answered after the end of the watch has been sent on the same connection.
      await client.status();
      expect((await watch.next()).value).toStrictEqual(announcementOf(2));
      expect((await watch.next()).done).toBe(true);
    });

    it("resumes a watch above the last version seen when the coordinator restarts", async () => {
      const first = await h.coordinated(new SmallCoordinator());
      await first.control.publishWeights(sampleDelivery(7), "learner");
      const watch = watching(first.client);
      expect((await watch.next()).version).toBe(7);
      const next = watch.next();
      await first.server.close();
      const restarted = new SmallCoordinator();
      await restarted.publishWeights(sampleDelivery(6), "learner");
      await h.transport.serveControl(restarted, first.server.address);
      await eventually("the watch to come back", () => restarted.watchedFrom.length > 0);
      expect(restarted.watchedFrom).toEqual([7]);
      await restarted.publishWeights(sampleDelivery(8), "learner");
      expect((await next).version).toBe(8);
      await watch.stop();
    });

    it("ends a watch with UNAVAILABLE once the coordinator has been away too long", async () => {
      const impatient = h.make({ reconnectSeconds: 0.4 });
      const { server, client } = await h.coordinated(new SmallCoordinator(), impatient);
      const error = failureOf(watching(client).next());
      await server.close();
      expect(await error).toMatchObject({ code: "UNAVAILABLE" });
      expect((await error).message).toContain(`nobody answered at ${server.address} for 0.4 s`);
    });

    it("ends a watch quietly when its client closes", async () => {
      const { client } = await h.coordinated(new SmallCoordinator());
      const watch = client.watchWeights(ANY_VERSION, new AbortController().signal)[Symbol.asyncIterator]();
      const next = watch.next();
      await client.close();
      expect((await next).done).toBe(true);
    });

    it("passes on what a watch handler throws", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      control.watchWeights = () => {
        throw new SkeinError("REFUSED", "no weights here");
      };
      const error = await failureOf(watching(client).next());
      expect(error).toMatchObject({ code: "REFUSED", message: "no weights here" });
    });
  });
}

export function relayConformance(kind: Kind): void {
  describe("relays", () => {
    const h = new Harness(kind);

    it("hand weights on unchanged, and pass on why they cannot", async () => {
      const source = new SmallCoordinator();
      await source.publishWeights(sampleDelivery(3, 700_000), "learner");
      const { address } = await h.transport.serveWeights(source, kind.any, 4);
      const relay = h.transport.connectWeights(address);
      expectSame(await relay.fetchWeights(exactly(3)), sampleDelivery(3, 700_000));
      const request = { version: 9, oldest: 4, base: 3 };
      const error = await failureOf(relay.fetchWeights(request));
      expect(error).toMatchObject({ code: "REFUSED", message: "version 9 is not kept: only the newest is" });
      expect(source.asked).toEqual([exactly(3), request]);
    });

    it("serve as many at once as told and refuse more, until one has been served", async () => {
      const waiting: ((delivery: WeightsDelivery) => void)[] = [];
      const source = {
        fetchWeights: () => new Promise<WeightsDelivery>((resolve) => waiting.push(resolve)),
      };
      const { address } = await h.transport.serveWeights(source, kind.any, 2);
      const relay = h.transport.connectWeights(address);
      const served = [1, 2].map(() => relay.fetchWeights(exactly(1)));
      await eventually("two to wait", () => waiting.length === 2);
      const error = await failureOf(relay.fetchWeights(exactly(1)));
      expect(error.code).toBe("REFUSED");
      expect(error.message).toContain("serves 2 others already");
      for (const resolve of waiting) resolve(sampleDelivery(1));
      await Promise.all(served);
      const again = relay.fetchWeights(exactly(1));
      await eventually("the next", () => waiting.length === 3);
      waiting[2]!(sampleDelivery(1));
      expectSame(await again, sampleDelivery(1));
    });

    it("that cannot be reached are given up after one deadline, without trying again", async () => {
      const quick = h.make({ deadlineSeconds: 0.3, reconnectSeconds: 60 });
      const error = await failureOf(quick.connectWeights(kind.nobody).fetchWeights(exactly(1)));
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toContain(`nobody answered at ${kind.nobody}`);
    });

    it("that close in the middle are given up at once", async () => {
      const source = new SmallCoordinator();
      await source.publishWeights(sampleDelivery(1, 700_000), "learner");
      const server = await h.transport.serveWeights(source, kind.any, 2);
      const fetching = failureOf(h.transport.connectWeights(server.address).fetchWeights(exactly(1)));
      await eventually("the request", () => source.asked.length === 1);
      await server.close();
      expect((await fetching).code).toBe("UNAVAILABLE");
    });
  });
}

function announcementOf(version: number): WeightsAnnouncement {
  return { version, rootHash: "00ff", source: "", ageSeconds: 0 };
}

/** A watch read one announcement at a time. */
function watching(client: Control, request = ANY_VERSION) {
  const abort = new AbortController();
  const iterator = client.watchWeights(request, abort.signal)[Symbol.asyncIterator]();
  return {
    next: async (): Promise<WeightsAnnouncement> => {
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
