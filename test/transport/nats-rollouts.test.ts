/** The rollout queue on a real NATS server: what is kept, repeated, refused and given up, whatever dies. */
import { connect, headers, type JetStreamManager, type NatsConnection, type StreamState } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OPEN } from "../../core/security/credentials.js";
import { encodeRollout } from "../../core/transport/codec.js";
import { frameCodec, split, type Frame } from "../../core/transport/frames.js";
import { parsePlace } from "../../core/transport/nats/address.js";
import { createNatsTransport } from "../../core/transport/nats/index.js";
import type { NatsOptions } from "../../core/transport/nats/settings.js";
import { receiveRollouts } from "../../core/transport/nats/rollout-receiver.js";
import type { Listening, RolloutSender, Transport } from "../../core/transport/transport.js";
import { natsMissing, NatsServer } from "../nats-server.js";
import { eventually, failureOf, OPTIONS, sampleRollout, SmallLearner } from "./helpers.js";
import { Proxy } from "./proxy.js";

const MIB = 2 ** 20;
/** Steps of a rollout of one frame, and of one of three. */
const ONE_FRAME = 5;
const MANY_FRAMES = 3000;

if (natsMissing !== null) process.stderr.write(`the rollout queue: ${natsMissing}\n`);

describe.skipIf(natsMissing !== null)("the rollout queue", () => {
  let server: NatsServer;
  let notices: string[];
  const made: (Transport | Listening | Proxy)[] = [];

  beforeEach(async () => {
    server = await NatsServer.start();
    notices = [];
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((thing) => thing.close()));
    await server.stop();
  });

  function optionsOf(more: Partial<NatsOptions> = {}): NatsOptions {
    const nats = { maxBytes: 256 * MIB, replicas: 1 };
    return { ...OPTIONS, nats, notice: (message) => notices.push(message), ...more };
  }

  function transport(more: Partial<NatsOptions> = {}): Transport {
    const one = createNatsTransport(optionsOf(more), OPEN);
    made.push(one);
    return one;
  }

  const address = (): string => `${server.url}/run`;

  async function learning(learner: SmallLearner, at = address(), on = transport()): Promise<Listening> {
    return on.serveRollouts(learner.onDelivery, at);
  }

  /** Sends `count` rollouts, of groups from 1; resolves when the server answers for all of them. */
  async function sendAll(sender: RolloutSender, count: number, steps = ONE_FRAME): Promise<void> {
    await Promise.all(upTo(count).map((group) => sender.send(sampleRollout(group, steps)).settled));
  }

  /** Asks the server itself, over a connection of the test's own. */
  async function asking<T>(ask: (manager: JetStreamManager, raw: NatsConnection) => Promise<T>): Promise<T> {
    const raw = await connect({ servers: server.url });
    try {
      return await ask(await raw.jetstreamManager(), raw);
    } finally {
      await raw.close();
    }
  }

  function state(): Promise<StreamState> {
    return asking(async (manager) => (await manager.streams.info(parsePlace(address()).rolloutStream)).state);
  }

  async function queueEmpties(): Promise<void> {
    const deadline = performance.now() + 15_000;
    while ((await state()).messages > 0) {
      if (performance.now() > deadline) throw new Error("the queue did not empty");
    }
  }

  it("keeps rollouts on the server while there is no learner, and deletes what is settled", async () => {
    const on = transport();
    await sendAll(on.connectRollouts(address()), 3, MANY_FRAMES);
    expect((await state()).messages).toBe(9);
    const learner = new SmallLearner();
    await learning(learner);
    for (let i = 0; i < 3; i++) await learner.ackNext();
    await queueEmpties();
    expect(learner.groups).toEqual([1, 2, 3]);
  });

  it("delivers what a learner had not settled to the next, at once and from the start", async () => {
    const dying = transport();
    const first = new SmallLearner();
    await dying.serveRollouts(first.onDelivery, address());
    await sendAll(transport().connectRollouts(address()), 6, MANY_FRAMES);
    await eventually("all to arrive", () => first.received.length === 6);
    first.received[1]?.ack();
    first.received[4]?.reject("a duplicate");
    await dying.close();
    const next = new SmallLearner();
    await learning(next);
    await eventually("the rest to arrive", () => next.received.length === 4);
    expect(next.groups).toEqual([1, 3, 4, 6]);
    for (const delivery of next.received) delivery.ack();
    await queueEmpties();
    expect(next.received).toHaveLength(4);
  });

  it("hands a rollout over once to a learner whose connection breaks while it holds it, and settles it then", async () => {
    const proxy = await Proxy.to(`127.0.0.1:${server.port}`);
    made.push(proxy);
    const learner = new SmallLearner();
    await learning(learner, `nats://${proxy.address}/run`);
    const sender = transport().connectRollouts(address());
    await sendAll(sender, 3, MANY_FRAMES);
    await eventually("three deliveries", () => learner.received.length === 3);
    learner.received[0]?.ack();
    proxy.cut();
    learner.received[1]?.ack();
    await eventually("the learner to come back", () => proxy.accepted === 2);
    await sender.send(sampleRollout(4)).settled;
    await eventually("what was sent since", () =>
      learner.received.some(({ rollout }) => rollout.group === 4),
    );
    learner.received[2]?.ack();
    learner.received[3]?.ack();
    await queueEmpties();
    expect(learner.groups).toEqual([1, 2, 3, 4]);
  });

  it("stores a rollout once where the answer got lost and it was published again", async () => {
    const proxy = await Proxy.to(`127.0.0.1:${server.port}`);
    made.push(proxy);
    const sender = transport({ keepaliveSeconds: 0.3 }).connectRollouts(`nats://${proxy.address}/run`);
    await sendAll(sender, 1);
    // The way back stands still: what is published arrives, and no answer does.
    proxy.freeze("answers");
    const sending = sender.send(sampleRollout(2, MANY_FRAMES));
    const frames = split(1, encodeRollout(sampleRollout(2, MANY_FRAMES)), OPTIONS.chunkBytes).length;
    await eventually("a second connection", () => proxy.accepted === 2);
    await sending.settled;
    expect(await state()).toMatchObject({ messages: 1 + frames, last_seq: 1 + frames });
  });

  it("holds senders back while it is full, says so once, and loses nothing", async () => {
    const small = { nats: { maxBytes: 2 * MIB, replicas: 1 } };
    const sender = transport(small).connectRollouts(address());
    const sent = upTo(24).map((group) => sender.send(sampleRollout(group, MANY_FRAMES)));
    let stored = 0;
    for (const { settled } of sent) void settled.then(() => (stored += 1));
    await eventually("the queue to be full", () => notices.length > 0);
    expect(stored).toBeLessThan(24);
    expect((await state()).bytes).toBeLessThanOrEqual(2 * MIB);
    const learner = new SmallLearner();
    await learning(learner, address(), transport(small));
    for (let i = 0; i < 24; i++) await learner.ackNext();
    await Promise.all(sent.map(({ settled }) => settled));
    await queueEmpties();
    expect([...learner.groups].sort((a, b) => a - b)).toEqual(upTo(24));
    expect(notices.filter((notice) => notice.includes("takes no more"))).toHaveLength(1);
  });

  it("refuses a rollout over a quarter of the queue", async () => {
    const sender = transport({ nats: { maxBytes: MIB, replicas: 1 } }).connectRollouts(address());
    const error = await failureOf(sender.send(sampleRollout(1, 20_000)).settled);
    expect(error.code).toBe("REFUSED");
    expect(error.message).toMatch(/bytes are over a quarter of the queue \(262144\)/);
  });

  it("loses nothing where the server is killed and started again in the middle", async () => {
    const learner = new SmallLearner();
    await learning(learner);
    const sender = transport().connectRollouts(address());
    const sent = upTo(60).map((group) => sender.send(sampleRollout(group, MANY_FRAMES)).settled);
    for (let kill = 0; kill < 3; kill++) {
      await eventually("some to arrive", () => learner.received.length > 10 * (kill + 1));
      await server.kill();
      for (const delivery of learner.held.splice(0)) delivery.ack();
      await server.up();
    }
    await Promise.all(sent);
    await eventually("all to arrive", () => new Set(learner.groups).size === 60, 30);
    for (const delivery of learner.received) delivery.ack();
    await queueEmpties();
    expect([...new Set(learner.groups)].sort((a, b) => a - b)).toEqual(upTo(60));
  });

  it("sends again what the server had not answered for, where it comes back without its store, and says so", async () => {
    const learner = new SmallLearner();
    await learning(learner);
    const sender = transport().connectRollouts(address());
    await sendAll(sender, 1);
    await learner.ackNext();
    await server.kill();
    server.forget();
    const sent = upTo(5).map((group) => sender.send(sampleRollout(100 + group, MANY_FRAMES)).settled);
    await server.up();
    await Promise.all(sent);
    for (let i = 0; i < 5; i++) await learner.ackNext();
    expect(learner.groups).toEqual([1, 101, 102, 103, 104, 105]);
    await eventually("the notice", () => notices.join().includes("came back without its store"));
  });

  it("gives the rollouts to the newest learner alone, and the one before says that it gets no more", async () => {
    const first = new SmallLearner();
    const second = new SmallLearner();
    await learning(first);
    await learning(second);
    await eventually("the first to notice", () => notices.join().includes("another learner has taken over"));
    await sendAll(transport().connectRollouts(address()), 5);
    for (let i = 0; i < 5; i++) await second.ackNext();
    await queueEmpties();
    expect([first.groups, second.groups]).toEqual([[], [1, 2, 3, 4, 5]]);
  });

  it("says what is missing where the server has no JetStream", async () => {
    const plain = await NatsServer.start("", undefined, false);
    try {
      const impatient = transport({ reconnectSeconds: 0.5 });
      const error = await failureOf(impatient.serveRollouts(() => undefined, `${plain.url}/run`));
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toContain("has no JetStream: start it with -js");
    } finally {
      await plain.stop();
    }
  });

  describe("frames that arrive as they like", () => {
    const subject = (sending: number): string => `${parsePlace(address()).rolloutPrefix}.test.${sending}`;

    function framesOf(group: number): Frame[] {
      return split(group, encodeRollout(sampleRollout(group, MANY_FRAMES)), OPTIONS.chunkBytes);
    }

    /** Publishes frames of sendings in exactly this order. */
    async function publish(
      order: readonly (readonly [sending: number, frame: Frame | Uint8Array])[],
    ): Promise<void> {
      await asking(async (_manager, raw) => {
        const stream = raw.jetstream();
        for (const [sending, frame] of order) {
          const body = frame instanceof Uint8Array ? frame : frameCodec.encode(frame);
          await stream.publish(subject(sending), body, { headers: headers() });
        }
      });
    }

    it("make whole rollouts, in whatever order, interleaved and repeated", async () => {
      const learner = new SmallLearner();
      await learning(learner);
      const [a, b] = [framesOf(1), framesOf(2)];
      const order: [number, Frame][] = [];
      for (let i = a.length - 1; i >= 0; i--) order.push([1, a[i]!], [2, b[a.length - 1 - i]!], [2, b[0]!]);
      await publish(order);
      for (let i = 0; i < 2; i++) await learner.ackNext();
      await queueEmpties();
      expect([...learner.groups].sort((x, y) => x - y)).toEqual([1, 2]);
      for (const { rollout } of learner.received) {
        const sent = encodeRollout(sampleRollout(rollout.group, MANY_FRAMES));
        expect(Buffer.compare(encodeRollout(rollout), sent)).toBe(0);
      }
    });

    it("are dropped with a notice where they make no rollout, and what comes after is delivered", async () => {
      const learner = new SmallLearner();
      await learning(learner);
      const [good, changed, foreign, short] = [framesOf(1), framesOf(2), framesOf(3), framesOf(4)];
      changed[1]!.payload[7]! ^= 1;
      const tooLong = { ...short[0]!, totalBytes: OPTIONS.maxMessageBytes + 1 };
      await publish([
        ...changed.map((frame) => [2, frame] as const),
        [3, foreign[0]!],
        [3, good[1]!],
        [4, tooLong],
        [5, Buffer.from("no frame at all")],
        [6, frameCodec.encode({ ...split(6, Buffer.from("no rollout"), 100)[0]! })],
        ...good.map((frame) => [1, frame] as const),
      ]);
      await learner.ackNext();
      await queueEmpties();
      expect(learner.groups).toEqual([1]);
      expect(notices.filter((notice) => notice.startsWith("dropped a rollout"))).toHaveLength(5);
    });

    it("are given up where the rest never comes", async () => {
      const learner = new SmallLearner();
      const settings = { ...optionsOf(), credentials: OPEN.credentials };
      const pace = { workingSeconds: 0.1, giveUpSeconds: 0.2 };
      made.push(await receiveRollouts(learner.onDelivery, address(), settings, pace));
      await publish(
        framesOf(1)
          .slice(1)
          .map((frame) => [1, frame] as const),
      );
      await publish(framesOf(2).map((frame) => [2, frame] as const));
      await learner.ackNext();
      await queueEmpties();
      expect(learner.groups).toEqual([2]);
      expect(notices.join()).toContain("its sender ended half-way");
    });
  });
});

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
