/** What only a network does to a transport: connections that are cut, that freeze, and that stay. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import type { Closable, Transport, TransportOptions } from "../../core/transport/transport.js";
import {
  eventually,
  OPTIONS,
  sampleRollout,
  sampleDelivery,
  SmallCoordinator,
  SmallLearner,
} from "./helpers.js";
import { Proxy } from "./proxy.js";

const ANY = "127.0.0.1:0";
const ANY_VERSION = { afterVersion: -1, relayAddress: "" };

const opened: Closable[] = [];
let transport: Transport;

function open<T extends Closable>(closable: T): T {
  opened.push(closable);
  return closable;
}

function make(options: Partial<TransportOptions> = {}): Transport {
  return open(createGrpcTransport({ ...OPTIONS, ...options }));
}

beforeEach(() => {
  transport = make();
});

afterEach(async () => {
  for (const closable of opened.splice(0)) await closable.close();
});

describe("connections", () => {
  it("that are cut while rollouts flow lose none and keep their order", async () => {
    const learner = new SmallLearner();
    const { address } = await transport.serveRollouts((delivery) => {
      learner.onDelivery(delivery);
      delivery.ack();
    }, ANY);
    const proxy = open(await Proxy.to(address));
    const sender = transport.connectRollouts(proxy.address);
    for (let round = 0; round < 5; round++) {
      const sent = Array.from(
        { length: 20 },
        (_, i) => sender.send(sampleRollout(20 * round + i + 1, 2000)).settled,
      );
      await sent[2];
      proxy.cut();
      await Promise.all(sent);
    }
    expect(proxy.accepted).toBeGreaterThan(5);
    const firstTimes = [...new Set(learner.groups)];
    expect(firstTimes).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it("that are cut during a call are made again", async () => {
    const control = new SmallCoordinator();
    const { address } = await transport.serveControl(control, ANY);
    const proxy = open(await Proxy.to(address));
    const client = transport.connectControl(proxy.address);
    const answer = control.acquire.bind(control);
    control.acquire = () => {
      control.acquire = answer;
      proxy.cut();
      return new Promise(() => undefined);
    };
    const reply = await client.acquire({ leaseId: "", seat: 1, capacity: 1, lastRequestId: 8, failed: [] });
    expect(reply.requests[0]?.requestId).toBe(9);
  });

  it("that are cut in the middle of large weights still bring them whole", async () => {
    const control = new SmallCoordinator();
    const { address } = await transport.serveControl(control, ANY);
    const proxy = open(await Proxy.to(address));
    const client = transport.connectControl(proxy.address);
    const fetch = control.fetchWeights.bind(control);
    await control.publishWeights(sampleDelivery(1, 1_000_000), "learner");
    let fetches = 0;
    control.fetchWeights = (request) => {
      if (++fetches === 1) setImmediate(() => proxy.cut());
      return fetch(request);
    };
    const { payload } = await client.fetchWeights({ version: 1, oldest: 1, base: null });
    expect(Buffer.compare(payload, sampleDelivery(1, 1_000_000).payload)).toBe(0);
    expect(fetches).toBe(2);
  });

  it("that freeze are noticed by keep-alive, and left for new ones", async () => {
    const quick = make({ keepaliveSeconds: 0.2 });
    const learner = new SmallLearner();
    const control = new SmallCoordinator();
    const rollouts = open(await Proxy.to((await quick.serveRollouts(learner.onDelivery, ANY)).address));
    const calls = open(await Proxy.to((await quick.serveControl(control, ANY)).address));
    const client = quick.connectControl(calls.address);
    const watch = client.watchWeights(ANY_VERSION, new AbortController().signal)[Symbol.asyncIterator]();
    const next = watch.next();
    const sent = quick.connectRollouts(rollouts.address).send(sampleRollout(1)).settled;
    await eventually("the delivery", () => learner.held.length === 1);
    await eventually("the watch", () => control.watchedFrom.length === 1);
    rollouts.freeze();
    calls.freeze();
    await eventually("the second delivery", () => learner.held.length >= 2);
    await eventually("the second watch", () => control.watchedFrom.length >= 2);
    for (const delivery of learner.held) delivery.ack();
    await sent;
    await control.publishWeights(sampleDelivery(3), "learner");
    expect((await next).value).toMatchObject({ version: 3 });
  });

  it("that freeze while weights pour through them do not keep a server from closing", async () => {
    const patient = make({ keepaliveSeconds: 600, maxMessageBytes: 100_000_000 });
    const control = new SmallCoordinator();
    const server = await patient.serveControl(control, ANY);
    const proxy = open(await Proxy.to(server.address));
    await control.publishWeights(sampleDelivery(1, 20_000_000), "learner");
    const fetching = patient
      .connectControl(proxy.address)
      .fetchWeights({ version: 1, oldest: 1, base: null });
    fetching.catch(() => undefined);
    await eventually("the first of it", () => proxy.chunks > 20);
    proxy.freeze();
    const from = performance.now();
    await server.close();
    expect(performance.now() - from).toBeLessThan(5000);
  });

  it("that carry nothing but keep-alive stay open", async () => {
    const quick = make({ keepaliveSeconds: 0.5 });
    const proxy = open(await Proxy.to((await quick.serveControl(new SmallCoordinator(), ANY)).address));
    const client = quick.connectControl(proxy.address);
    await client.status();
    const before = proxy.chunks;
    await eventually("a dozen pings and answers", () => proxy.chunks > before + 12);
    await client.status();
    expect(proxy.accepted).toBe(1);
  });

  it("leave no handle open once everything is closed", async () => {
    const handles = (): string[] =>
      process.getActiveResourcesInfo().filter((kind) => /^(TCP|Timeout|Immediate)/.test(kind));
    await transport.close();
    const before = handles().length;
    const busy = createGrpcTransport(OPTIONS);
    const learner = new SmallLearner();
    const { address } = await busy.serveControl(new SmallCoordinator(), ANY);
    const client = busy.connectControl(address);
    await client.publishWeights(sampleDelivery(1), "learner");
    const watch = client.watchWeights(ANY_VERSION, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();
    const sender = busy.connectRollouts((await busy.serveRollouts(learner.onDelivery, ANY)).address);
    const sent = sender.send(sampleRollout(1)).settled;
    await learner.ackNext();
    await sent;
    await busy.close();
    await eventually("no more handles than before", () => handles().length <= before + 1);
  });
});
