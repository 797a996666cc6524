/** Weights in a key-value bucket of a real NATS server. */
import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { OPEN } from "../../core/security/credentials.js";
import { parsePlace } from "../../core/transport/nats/address.js";
import { createNatsTransport } from "../../core/transport/nats/index.js";
import type { Transport, WeightsAnnouncement } from "../../core/transport/transport.js";
import { weightsOf } from "../../core/weights/payload.js";
import { WeightsShelf } from "../../core/weights/shelf.js";
import { natsMissing, NatsServer } from "../nats-server.js";
import { changed, network, SETTINGS, WeightsCoordinator } from "../weights/fixture.js";
import { failureOf, OPTIONS, sampleDelivery } from "./helpers.js";

const MIB = 2 ** 20;

if (natsMissing !== null) process.stderr.write(`the weights store: ${natsMissing}\n`);

describe.skipIf(natsMissing !== null)("the weights store", () => {
  let server: NatsServer;
  let transport: Transport;
  let notices: string[];
  beforeEach(async () => {
    server = await NatsServer.start();
    notices = [];
    const nats = { maxBytes: 64 * MIB, replicas: 1 };
    const notice = (message: string): void => void notices.push(message);
    transport = createNatsTransport({ ...OPTIONS, nats, notice }, OPEN);
  });
  afterEach(async () => {
    await transport.close();
    await server.stop();
  });

  async function coordinated() {
    const control = new WeightsCoordinator();
    const { address } = await transport.serveControl(control, `${server.url}/run`);
    const client = transport.connectControl(address);
    const every = { afterVersion: -1, relayAddress: "" };
    const watch = client.watchWeights(every, new AbortController().signal)[Symbol.asyncIterator]();
    const next = async (): Promise<WeightsAnnouncement> => (await watch.next()).value as WeightsAnnouncement;
    return { control, client, next };
  }

  /** Asks the server itself. */
  async function keys(): Promise<string[]> {
    const raw = await connect({ servers: server.url });
    try {
      const kv = await raw.jetstream().views.kv(parsePlace(`${server.url}/run`).weightsBucket);
      const found: string[] = [];
      for await (const key of await kv.keys()) found.push(key);
      return found.sort();
    } finally {
      await raw.close();
    }
  }

  it("has each version in full and as the delta that was published, and nobody asks the coordinator", async () => {
    const { control, client, next } = await coordinated();
    const shelf = new WeightsShelf(9, SETTINGS);
    const first = network(0, 1, 4096);
    for (const snapshot of [
      first,
      changed(first, 1, new Random(2), 9),
      changed(first, 2, new Random(3), 9),
    ]) {
      const { version } = snapshot;
      shelf.put(weightsOf(snapshot));
      const published = shelf.find({ version, oldest: version, base: version - 1 })!;
      await client.publishWeights(published, "learner");
      const { source } = await next();
      expect(source).toBe(`${server.url}/run#weights`);
      const stored = transport.connectWeights(source);
      const fetches = control.fetches.length;
      for (const base of [null, version - 1]) {
        const request = { version, oldest: version, base };
        const { manifest, payload } = await stored.fetchWeights(request);
        const expected = shelf.find(request)!;
        expect(manifest).toEqual(expected.manifest);
        expect(Buffer.compare(payload, expected.payload)).toBe(0);
      }
      expect(control.fetches).toHaveLength(fetches);
    }
  });

  it("takes weights of many frames", async () => {
    const { client, next } = await coordinated();
    const delivery = sampleDelivery(1, 700_000);
    await client.publishWeights(delivery, "learner");
    const stored = transport.connectWeights((await next()).source);
    const { payload } = await stored.fetchWeights({ version: 1, oldest: 1, base: null });
    expect(Buffer.compare(payload, delivery.payload)).toBe(0);
  });

  it("keeps the newest three versions, and says which it has not", async () => {
    const { client, next } = await coordinated();
    let source = "";
    for (let version = 1; version <= 6; version++) {
      await client.publishWeights(sampleDelivery(version), "learner");
      ({ source } = await next());
    }
    expect(new Set((await keys()).map((key) => key.split(".")[0]))).toEqual(new Set(["4", "5", "6"]));
    const error = await failureOf(
      transport.connectWeights(source).fetchWeights({ version: 2, oldest: 2, base: 1 }),
    );
    expect(error.code).toBe("REFUSED");
    expect(error.message).toBe("fetch weights: version 2 is not in the store any more");
  });

  it("has nothing of what the coordinator refuses", async () => {
    const { client, next } = await coordinated();
    await client.publishWeights(sampleDelivery(5), "learner");
    await next();
    expect((await failureOf(client.publishWeights(sampleDelivery(4), "learner"))).code).toBe("REFUSED");
    expect(new Set((await keys()).map((key) => key.split(".")[0]))).toEqual(new Set(["5"]));
    await client.publishWeights(sampleDelivery(6), "learner");
    expect((await next()).source).not.toBe("");
  });

  it("is left out where the server cannot store: announcements go on, and one notice says so", async () => {
    const { client, next } = await coordinated();
    const raw = await connect({ servers: server.url });
    const { weightsBucket } = parsePlace(`${server.url}/run`);
    await (await raw.jetstreamManager()).streams.add({ name: `KV_${weightsBucket}`, subjects: ["else"] });
    await raw.close();
    for (const version of [1, 2]) {
      await client.publishWeights(sampleDelivery(version), "learner");
      expect(await next()).toMatchObject({ version, source: "" });
    }
    expect(notices.filter((notice) => notice.includes("weights cannot be stored"))).toHaveLength(1);
  });
});
