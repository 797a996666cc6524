/** Weights from learner to actors over gRPC: what arrives is what was published, whoever brings it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { createLearnerMetrics } from "../../core/telemetry/metrics.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { Transport, WeightsDelivery, WeightsSource } from "../../core/transport/transport.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { WeightsPublisher } from "../../core/weights/publisher.js";
import { weightsOf } from "../../core/weights/payload.js";
import { eventually, failureOf, OPTIONS } from "../transport/helpers.js";
import { Proxy } from "../transport/proxy.js";
import {
  bytesOf,
  changed,
  following,
  network,
  SETTINGS,
  valueOf,
  WeightsCoordinator,
  type Following,
} from "./fixture.js";

const RECEIVED = "skein_actor_weights_received_bytes_total";
const REJECTED = "skein_actor_rejected_weights_total";
const FALLBACKS = "skein_actor_relay_fallbacks_total";
const TREE = { ...SETTINGS, fanOut: 2 };

let transport: Transport;
let running: Following[];

beforeEach(() => {
  transport = createGrpcTransport(OPTIONS);
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await transport.close();
});

async function coordinating(coordinator: WeightsCoordinator) {
  return (await transport.serveControl(coordinator, "127.0.0.1:0")).address;
}

async function follow(address: string, receivers = 0): Promise<Following> {
  const one = await following({ transport, address, receivers });
  running.push(one);
  return one;
}

/** `count` followers that relay, each taking its place in the tree in turn. */
async function fleet(coordinator: WeightsCoordinator, address: string, count: number, receivers = 2) {
  const followers: Following[] = [];
  while (followers.length < count) {
    followers.push(await follow(address, receivers));
    await eventually("its watch", () => coordinator.registry.watchers === followers.length);
  }
  return followers;
}

function versionOf({ relay }: Following): number {
  return relay.shelf.version;
}

async function arrived(followers: readonly Following[], version: number): Promise<void> {
  await eventually(`version ${version} everywhere`, () =>
    followers.every((one) => versionOf(one) === version),
  );
}

function publish(coordinator: WeightsCoordinator, snapshot: WeightsSnapshot): void {
  const { manifest, payload } = weightsOf(snapshot);
  coordinator.registry.publish({ manifest, payload });
}

/** Every version that a follower handed out is exactly the one that was published, and they only rise. */
function expectExact({ seen }: Following, published: ReadonlyMap<number, string>): void {
  const versions = seen.map(({ manifest }) => manifest.version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  for (const { snapshot, manifest } of seen) {
    expect(bytesOf(snapshot)).toBe(published.get(manifest.version));
    expect(manifest.version).toBe(snapshot.version);
  }
}

describe("a follower", () => {
  it("hands out each newest version, all of it first, then what has changed", async () => {
    const coordinator = new WeightsCoordinator();
    const one = await follow(await coordinating(coordinator));
    const v3 = network(3, 1);
    const v4 = changed(v3, 4, new Random(1), 3);
    publish(coordinator, v3);
    await arrived([one], 3);
    publish(coordinator, v4);
    await arrived([one], 4);
    await eventually("both to be handed out", () => one.seen.length === 2);
    expect(one.seen.map(({ snapshot }) => bytesOf(snapshot))).toEqual([v3, v4].map(bytesOf));
    expect(coordinator.fetches.map(({ base }) => base)).toEqual([null, 3]);
    expect(await valueOf(one.metrics, RECEIVED, "full")).toBe(400);
    expect(await valueOf(one.metrics, RECEIVED, "delta")).toBeLessThan(100);
    expect(await valueOf(one.metrics, REJECTED)).toBe(0);
    await eventually("the next wait", () => one.seen.length === 2);
    expect(await valueOf(one.metrics, "skein_actor_weights_sync_seconds_count", "full")).toBe(1);
  });

  it("takes all of a version where its own is not kept any more", async () => {
    const coordinator = new WeightsCoordinator({ keep: 1 });
    const one = await follow(await coordinating(coordinator));
    const random = new Random(2);
    let snapshot = network(0, 1);
    for (let version = 0; version < 4; version++) {
      publish(coordinator, snapshot);
      await arrived([one], version);
      snapshot = changed(snapshot, version + 1, random, 2);
    }
    expect(await valueOf(one.metrics, RECEIVED, "full")).toBe(4 * 400);
  });

  it("takes all of it after a delta that does not make what was announced", async () => {
    const coordinator = new WeightsCoordinator();
    const one = await follow(await coordinating(coordinator));
    const v0 = network(0, 1);
    const v1 = changed(v0, 1, new Random(3), 3);
    publish(coordinator, v0);
    await arrived([one], 0);
    coordinator.onFetch = ({ manifest, payload }) => {
      if (manifest.parent === null) return { manifest, payload };
      const flipped = payload.slice();
      flipped[flipped.length - 1]! ^= 1;
      return { manifest, payload: flipped };
    };
    publish(coordinator, v1);
    await arrived([one], 1);
    await eventually("it to be handed out", () => one.seen.length === 2);
    expect(one.seen.map(({ snapshot }) => bytesOf(snapshot))).toEqual([v0, v1].map(bytesOf));
    expect(await valueOf(one.metrics, REJECTED)).toBe(1);
    expect(coordinator.fetches.map(({ base }) => base)).toEqual([null, 0, null]);
  });

  it("keeps what it has while a source brings nothing but wrong weights, and goes on once that ends", async () => {
    const coordinator = new WeightsCoordinator();
    const one = await follow(await coordinating(coordinator));
    publish(coordinator, network(0, 1));
    await arrived([one], 0);
    const other = weightsOf(network(1, 99));
    const wrong: ((delivery: WeightsDelivery) => WeightsDelivery)[] = [
      ({ manifest, payload }) => ({ manifest, payload: payload.slice(4) }),
      ({ manifest, payload }) => ({ manifest: { ...manifest, version: 0 }, payload }),
      ({ manifest, payload }) => ({ manifest: { ...manifest, version: 2 }, payload }),
      () => other,
      ({ payload }) => ({ manifest: other.manifest, payload }),
    ];
    const unused = [...wrong];
    coordinator.onFetch = (delivery) => (unused.shift() ?? wrong[0]!)(delivery);
    publish(coordinator, network(1, 2));
    await eventually("all of them to be refused", () => coordinator.fetches.length > wrong.length + 3);
    expect(versionOf(one)).toBe(0);
    expect(one.seen).toHaveLength(1);
    expect(await valueOf(one.metrics, REJECTED)).toBeGreaterThan(wrong.length);
    coordinator.onFetch = (delivery) => delivery;
    await arrived([one], 1);
    await eventually("it to be handed out", () => one.seen.length === 2);
    expect(bytesOf(one.seen[1]!.snapshot)).toBe(bytesOf(network(1, 2)));
  });

  it("skips what was published while it fetched, and ends with the newest", async () => {
    const coordinator = new WeightsCoordinator();
    const one = await follow(await coordinating(coordinator));
    const fetch = coordinator.fetchWeights.bind(coordinator);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    coordinator.fetchWeights = async (request) => {
      const delivery = await fetch(request);
      await held;
      return delivery;
    };
    publish(coordinator, network(0, 1));
    await eventually("the first fetch", () => coordinator.fetches.length === 1);
    for (let version = 1; version < 30; version++) publish(coordinator, network(version, version));
    release();
    await arrived([one], 29);
    await eventually("it to be handed out", () => one.seen.at(-1)?.manifest.version === 29);
    expect(one.seen[0]!.manifest.version).toBe(0);
    expect(one.seen.length).toBeLessThan(6);
  });

  it("lives through a coordinator that is started anew, from nothing", async () => {
    const first = new WeightsCoordinator();
    const server = await transport.serveControl(first, "127.0.0.1:0");
    const one = await follow(server.address);
    const v6 = network(6, 1);
    publish(first, v6);
    await arrived([one], 6);
    await server.close();
    const { rootHash } = weightsOf(v6).manifest;
    const second = new WeightsCoordinator({ restored: { version: 6, rootHash } });
    await transport.serveControl(second, server.address);
    await eventually("its watch", () => second.registry.watchers === 1);
    expect(second.watchedFrom).toEqual([6]);
    publish(second, v6);
    publish(second, changed(v6, 7, new Random(1), 2));
    await arrived([one], 7);
    // The delta's base is the same weights, whichever coordinator it was that had them.
    expect(await valueOf(one.metrics, RECEIVED, "delta")).toBeGreaterThan(0);
    await eventually("it to be handed out", () => one.seen.length === 2);
  });

  it("fetches one exact version, checked, and passes on that it is not kept", async () => {
    const coordinator = new WeightsCoordinator({ keep: 3 });
    const one = await follow(await coordinating(coordinator));
    for (const version of [1, 2, 3, 4]) publish(coordinator, network(version, version));
    await arrived([one], 4);
    expect(bytesOf(await one.follower.fetchExactly(2))).toBe(bytesOf(network(2, 2)));
    expect((await failureOf(one.follower.fetchExactly(1))).code).toBe("REFUSED");
    coordinator.onFetch = ({ manifest, payload }) => ({ manifest, payload: payload.slice(8) });
    expect((await failureOf(one.follower.fetchExactly(3))).code).toBe("MESSAGE_CORRUPT");
  });

  it("ends with UNAVAILABLE once the coordinator has been away too long", async () => {
    const impatient = createGrpcTransport({ ...OPTIONS, reconnectSeconds: 0.5 });
    const server = await transport.serveControl(new WeightsCoordinator(), "127.0.0.1:0");
    const one = await following({ transport: impatient, address: server.address });
    await server.close();
    await eventually("it to give up", () => one.failure.error !== null);
    expect(one.failure.error).toMatchObject({ code: "UNAVAILABLE" });
    await one.stop();
    await impatient.close();
  });
});

describe("relays", () => {
  it("bring the newest to 20 followers, of which the coordinator serves fanOut", async () => {
    const coordinator = new WeightsCoordinator({ weights: TREE });
    const followers = await fleet(coordinator, await coordinating(coordinator), 20);
    const v0 = network(0, 1, 4000);
    const v1 = changed(v0, 1, new Random(5), 10);
    const published = new Map([v0, v1].map((snapshot) => [snapshot.version, bytesOf(snapshot)]));
    for (const snapshot of [v0, v1]) {
      publish(coordinator, snapshot);
      await arrived(followers, snapshot.version);
      expect(coordinator.fetches.splice(0)).toHaveLength(2);
    }
    for (const one of followers) {
      expectExact(one, published);
      expect(await valueOf(one.metrics, FALLBACKS)).toBe(0);
      expect(await valueOf(one.metrics, "skein_actor_weights_sent_bytes_total", "full")).toBeLessThanOrEqual(
        2 * 16016,
      );
      expect(await valueOf(one.metrics, RECEIVED, "delta")).toBeGreaterThan(0);
    }
  });

  it("that are gone cost their receivers one fetch from the coordinator, and nobody else", async () => {
    const coordinator = new WeightsCoordinator({ weights: TREE });
    const followers = await fleet(coordinator, await coordinating(coordinator), 14);
    publish(coordinator, network(0, 1));
    await arrived(followers, 0);
    coordinator.fetches.length = 0;
    // Its watch stays, as that of a process that is stuck does, so the tree still counts on it.
    const lost = followers[0]!;
    await lost.stopServing();
    publish(coordinator, network(1, 2));
    await arrived(followers, 1);
    // Two of the coordinator's own, and the two receivers of the one that is gone.
    expect(coordinator.fetches).toHaveLength(4);
    const fallbacks = await Promise.all(followers.map((one) => valueOf(one.metrics, FALLBACKS)));
    expect(fallbacks.reduce((a, b) => a + b)).toBe(2);
  });

  it("that fall silent are left after the deadline, and nobody below their receivers turns away", async () => {
    const quick = createGrpcTransport({ ...OPTIONS, deadlineSeconds: 0.5 });
    const coordinator = new WeightsCoordinator({ weights: { ...SETTINGS, fanOut: 1 } });
    const address = await coordinating(coordinator);
    const proxies: Proxy[] = [];
    const through = async (relay: string): Promise<string> => {
      proxies.push(await Proxy.to(relay));
      return proxies.at(-1)!.address;
    };
    const line: Following[] = [];
    for (let k = 1; k <= 4; k++) {
      line.push(await following({ transport: quick, address, receivers: 1, through }));
      await eventually("its watch", () => coordinator.registry.watchers === k);
    }
    publish(coordinator, network(0, 1));
    await arrived(line, 0);
    coordinator.fetches.length = 0;
    proxies[0]!.freeze();
    publish(coordinator, network(1, 2));
    await arrived(line, 1);
    expect(coordinator.fetches).toHaveLength(2);
    const fallbacks = await Promise.all(line.map((one) => valueOf(one.metrics, FALLBACKS)));
    expect(fallbacks).toEqual([0, 1, 0, 0]);
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await Promise.all(line.map((one) => one.stop()));
    await quick.close();
  });

  const truth = weightsOf(network(0, 1));
  const lies: [string, WeightsDelivery][] = [
    ["other weights", weightsOf(network(0, 99))],
    ["another version", weightsOf(network(1, 1))],
    ["a flipped bit", { ...truth, payload: truth.payload.map((byte, i) => (i === 30 ? byte ^ 8 : byte)) }],
    ["half of it", { ...truth, payload: truth.payload.slice(0, 200) }],
    ["a delta from nothing", { ...truth, manifest: { ...truth.manifest, version: 1, parent: 0 } }],
  ];
  it.each(lies)(
    "that hand on %s are not believed: their receivers turn to the coordinator",
    async (_, lie) => {
      const coordinator = new WeightsCoordinator({ weights: { ...SETTINGS, fanOut: 1 } });
      const address = await coordinating(coordinator);
      const source: WeightsSource = { fetchWeights: () => Promise.resolve(lie) };
      const { address: relayAddress } = await transport.serveWeights(source, "127.0.0.1:0", 9);
      const stop = new AbortController();
      const control = transport.connectControl(address);
      const asked = { afterVersion: -1, relayAddress };
      const watch = control.watchWeights(asked, stop.signal)[Symbol.asyncIterator]();
      const heard = watch.next();
      await eventually("the liar's watch", () => coordinator.registry.watchers === 1);
      const one = await follow(address);
      await eventually("the follower's", () => coordinator.registry.watchers === 2);
      publish(coordinator, network(0, 1));
      await arrived([one], 0);
      expect(bytesOf(one.relay.shelf.newest!.snapshot)).toBe(bytesOf(network(0, 1)));
      expect(await valueOf(one.metrics, REJECTED)).toBe(1);
      expect(await valueOf(one.metrics, FALLBACKS)).toBe(1);
      await heard;
      stop.abort();
    },
  );

  it("bring 64 followers to the newest of many versions, each exactly as published", async () => {
    const coordinator = new WeightsCoordinator({ weights: { ...SETTINGS, fanOut: 4 } });
    const followers = await fleet(coordinator, await coordinating(coordinator), 64, 4);
    const random = new Random(17);
    const published = new Map<number, string>();
    let snapshot = network(0, 1);
    for (let version = 0; version < 25; version++) {
      snapshot = changed(snapshot, version, random, 1 + random.integer(60));
      published.set(version, bytesOf(snapshot));
      publish(coordinator, snapshot);
      await new Promise(setImmediate);
    }
    await arrived(followers, 24);
    for (const one of followers) expectExact(one, published);
  });
});

describe("a garbled connection", () => {
  it("delays weights and never changes them", async () => {
    const coordinator = new WeightsCoordinator();
    const proxy = await Proxy.to(await coordinating(coordinator));
    const one = await follow(proxy.address);
    await eventually("its watch", () => coordinator.registry.watchers === 1);
    const snapshot = network(1, 1, 40_000);
    proxy.flip(12);
    publish(coordinator, snapshot);
    await arrived([one], 1);
    expect(bytesOf(one.relay.shelf.newest!.snapshot)).toBe(bytesOf(snapshot));
    expect(proxy.flipped).toBe(12);
    await one.stop();
    await proxy.close();
  });
});

describe("any interleaving", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "of publishing, joining, leaving and lost relays ends at the newest, exactly (seed %i)",
    async (seed) => {
      const random = new Random(seed);
      const memory = createMemoryTransport({ ...OPTIONS, deadlineSeconds: 1 });
      const fanOut = random.integer(4);
      const settings = { deltas: random.uniform() < 0.8, anchorEvery: 1 + random.integer(8), fanOut };
      const coordinator = new WeightsCoordinator({ weights: settings, keep: 1 + random.integer(4) });
      const { address } = await memory.serveControl(coordinator, "memory:coordinator");
      const publisher = new WeightsPublisher(
        memory.connectControl(address),
        "learner",
        settings,
        createLearnerMetrics({ processMetrics: false }),
      );
      const published = new Map<number, string>();
      const all: Following[] = [];
      let alive: Following[] = [];
      let snapshot = network(0, seed);
      const join = async (): Promise<void> => {
        const receivers = random.integer(4) === 0 ? 0 : fanOut;
        const one = await following({ transport: memory, address, receivers, settings });
        all.push(one);
        alive.push(one);
      };
      const publishNext = async (): Promise<void> => {
        snapshot = changed(
          snapshot,
          snapshot.version + 1 + random.integer(3),
          random,
          1 + random.integer(90),
        );
        published.set(snapshot.version, bytesOf(snapshot));
        await publisher.publish(snapshot);
      };
      for (let move = 0; move < 120; move++) {
        const dice = random.integer(20);
        if (dice < 10) await publishNext();
        else if (dice < 13 && alive.length < 9) await join();
        else if (dice === 13 && alive.length > 1) {
          const gone = alive[random.integer(alive.length)]!;
          alive = alive.filter((one) => one !== gone);
          await gone.stop();
        } else if (dice === 14 && alive.length > 0) await alive[random.integer(alive.length)]!.stopServing();
        for (let turns = random.integer(6); turns > 0; turns--) await new Promise(setImmediate);
      }
      await publishNext();
      await arrived(alive, snapshot.version);
      await eventually("the last to be handed out", () =>
        alive.every(({ seen }) => seen.at(-1)?.manifest.version === snapshot.version),
      );
      for (const one of all) expectExact(one, published);
      await Promise.all(alive.map((one) => one.stop()));
      await memory.close();
    },
  );
});
