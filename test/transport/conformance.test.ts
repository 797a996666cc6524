/** What every transport must do, run over all of them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { encodeRollout, encodeWeights } from "../../core/transport/codec.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { Control, Transport, TransportOptions } from "../../core/transport/transport.js";
import type { WeightsSnapshot } from "../../core/types.js";
import {
  eventually,
  failureOf,
  OPTIONS,
  sampleRollout,
  sampleWeights,
  SmallCoordinator,
  SmallLearner,
} from "./helpers.js";

const kinds = [
  { kind: "memory", create: createMemoryTransport, any: "memory:", nobody: "memory:nobody" },
  {
    kind: "gRPC",
    create: (options: TransportOptions) => createGrpcTransport(options),
    any: "127.0.0.1:0",
    nobody: "127.0.0.1:1",
  },
];

describe.each(kinds)("the $kind transport", ({ create, any, nobody }) => {
  const made: Transport[] = [];
  let transport: Transport;

  function make(options: Partial<TransportOptions> = {}): Transport {
    const created = create({ ...OPTIONS, ...options });
    made.push(created);
    return created;
  }

  beforeEach(() => {
    transport = make();
  });

  afterEach(async () => {
    await Promise.all(made.splice(0).map((created) => created.close()));
  });

  async function coordinated<T extends Control>(control: T, on = transport) {
    const server = await on.serveControl(control, any);
    return { control, server, client: on.connectControl(server.address) };
  }

  async function learning(on = transport) {
    const learner = new SmallLearner();
    const server = await on.serveRollouts(learner.onDelivery, any);
    return { learner, server, sender: on.connectRollouts(server.address) };
  }

  describe("control", () => {
    it("carries every call there and back unchanged", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      const seatSequences = [[0, 5] as const, [3, 2] as const];
      const register = {
        ...{
          role: "learner" as const,
          name: "learner",
          index: null,
          dataAddress: "host:2",
          policyVersion: 6,
        },
        ...{ disposedSteps: 2 ** 40, receivedSteps: 7, seatSequences },
      };
      expect(await client.register(register)).toEqual(await control.register(register));
      const heartbeat = { leaseId: "lease-1", appliedVersion: -1 };
      expect(await client.heartbeat(heartbeat)).toEqual(await control.heartbeat(heartbeat));
      const idle = { leaseId: "lease-1", seat: 2, completedRequestId: 0 };
      expect(await client.acquire(idle)).toEqual(await control.acquire(idle));
      const busy = { ...idle, completedRequestId: 8 };
      expect(await client.acquire(busy)).toEqual(await control.acquire(busy));
      const report = {
        ...{ leaseId: "lease-1", phase: "finished" as const, policyVersion: 3, updates: 96 },
        ...{ envSteps: 2 ** 33, disposedSteps: 1, receivedSteps: 8, seatSequences, meanReturn100: NaN },
      };
      expect(await client.report(report)).toEqual(await control.report(report));
      await client.leave({ leaseId: "lease-1" });
      expect(await client.status()).toEqual(await control.status());
      // Each request was made through the wire and then directly; the two must look the same.
      const twice = [register, heartbeat, idle, busy, report].flatMap((request) => [request, request]);
      expect(control.asked).toEqual([...twice, { leaseId: "lease-1" }]);
    });

    it("tells a place in the fleet that was asked for from any place", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      const actor = {
        ...{ role: "actor" as const, name: "a", index: 0, dataAddress: "", policyVersion: 0 },
        ...{ disposedSteps: 0, receivedSteps: 0, seatSequences: [] },
      };
      await client.register(actor);
      await client.register({ ...actor, index: null });
      expect(control.asked).toEqual([actor, { ...actor, index: null }]);
    });

    it("carries a handler's error across with its code and message", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      const message = `the lease "ü \u{1f9f6}" is 100% gone:\nregister again`;
      control.heartbeat = () => Promise.reject(new SkeinError("CHECKPOINT_MISMATCH", message));
      const error = await failureOf(client.heartbeat({ leaseId: "x", appliedVersion: 0 }));
      expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH", message });
      control.leave = () => Promise.reject(new SkeinError("UNAVAILABLE", "no learner"));
      const unavailable = await failureOf(client.leave({ leaseId: "" }));
      expect(unavailable).toMatchObject({ code: "UNAVAILABLE", message: "no learner" });
      control.status = () => Promise.reject(new TypeError("a bug"));
      expect(await failureOf(client.status())).toMatchObject({ code: "INTERNAL", message: "a bug" });
    });

    it("gives up on a handler that never answers, at the deadline", async () => {
      const { control, client } = await coordinated(new SmallCoordinator(), make({ deadlineSeconds: 0.3 }));
      control.acquire = () => new Promise(() => undefined);
      const error = await failureOf(client.acquire({ leaseId: "", seat: 0, completedRequestId: 0 }));
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toMatch(/^Acquire: .* gave no answer within 0\.3 s: /);
    });

    it("says where nobody answered, for how long, and what to check", async () => {
      const impatient = make({ reconnectSeconds: 0.6 });
      const started = performance.now();
      const error = await failureOf(impatient.connectControl(nobody).status());
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toContain(`nobody answered at ${nobody} for 0.6 s`);
      expect(error.message).toContain("check that the service runs there");
      expect(performance.now() - started).toBeGreaterThan(500);
      expect(performance.now() - started).toBeLessThan(5000);
    });

    it("waits for a server that starts later", async () => {
      const first = await coordinated(new SmallCoordinator());
      await first.server.close();
      const status = transport.connectControl(first.server.address).status();
      await transport.serveControl(new SmallCoordinator(), first.server.address);
      expect((await status).runId).toBe("run-1");
    });

    it("rejects calls under way when its client closes", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      let entered = false;
      control.acquire = () => {
        entered = true;
        return new Promise(() => undefined);
      };
      const call = failureOf(client.acquire({ leaseId: "", seat: 0, completedRequestId: 0 }));
      await eventually("the call to arrive", () => entered);
      await client.close();
      expect((await call).code).toBe("UNAVAILABLE");
    });

    it("refuses to serve at an address that is taken", async () => {
      const { server } = await coordinated(new SmallCoordinator());
      const error = await failureOf(
        make().serveControl(new SmallCoordinator(), server.address).then(refused),
      );
      expect(error.code).toBe("PORT_IN_USE");
      expect(error.message).toContain(server.address);

      /** Addresses in memory belong to their transport: there the same one must refuse. */
      async function refused(): Promise<never> {
        await transport.serveControl(new SmallCoordinator(), server.address);
        throw new Error("served twice");
      }
    });

    it("refuses an address of another form", async () => {
      const error = await failureOf(transport.serveControl(new SmallCoordinator(), "somewhere"));
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toContain('got "somewhere"');
      expect(() => transport.connectControl("somewhere")).toThrow(SkeinError);
    });
  });

  describe("weights", () => {
    it("publishes and fetches a snapshot unchanged, over 1 MiB too", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      const snapshot = sampleWeights(12, 700_000);
      await client.publishWeights(snapshot);
      expect(sameBytes(encodeWeights(control.newest ?? sampleWeights(0)), encodeWeights(snapshot))).toBe(
        true,
      );
      expect(sameBytes(encodeWeights(await client.fetchWeights(12)), encodeWeights(snapshot))).toBe(true);
    });

    it("says that a version is not kept any more", async () => {
      const { client } = await coordinated(new SmallCoordinator());
      const error = await failureOf(client.fetchWeights(3));
      expect(error).toMatchObject({ code: "REFUSED", message: "version 3 is not kept: only the newest is" });
    });

    it("refuses a snapshot over maxMessageBytes before sending it", async () => {
      const { client } = await coordinated(new SmallCoordinator(), make({ maxMessageBytes: 100_000 }));
      const error = await failureOf(client.publishWeights(sampleWeights(1, 50_000)));
      expect(error.code).toBe("REFUSED");
      expect(error.message).toMatch(/^weights 1: 2\d+ bytes are over the limit of 100000: /);
    });

    it("gives a watcher the current snapshot, then every newer one it waits for", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      await control.publishWeights(sampleWeights(4));
      const watch = watching(client, -1);
      expect(await watch.next()).toStrictEqual(sampleWeights(4));
      await client.publishWeights(sampleWeights(5));
      expect(await watch.next()).toStrictEqual(sampleWeights(5));
      await watch.stop();
      await eventually("the coordinator to hear of the end", () => control.watchesOver === 1);
    });

    it("gives nothing at or below the version a watch starts from", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      await control.publishWeights(sampleWeights(4));
      const watch = watching(client, 4);
      const next = watch.next();
      await eventually("the watch to begin", () => control.watchedFrom.length === 1);
      await client.publishWeights(sampleWeights(6));
      expect((await next).version).toBe(6);
      await watch.stop();
    });

    it("lets a slow watcher skip to the newest", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
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
      const { control, client } = await coordinated(new SmallCoordinator());
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

    it("resumes a watch above the last version seen when the coordinator restarts", async () => {
      const first = await coordinated(new SmallCoordinator());
      await first.control.publishWeights(sampleWeights(7));
      const watch = watching(first.client, -1);
      expect((await watch.next()).version).toBe(7);
      const next = watch.next();
      await first.server.close();
      const restarted = new SmallCoordinator();
      await restarted.publishWeights(sampleWeights(6));
      await transport.serveControl(restarted, first.server.address);
      await eventually("the watch to come back", () => restarted.watchedFrom.length > 0);
      expect(restarted.watchedFrom).toEqual([7]);
      await restarted.publishWeights(sampleWeights(8));
      expect((await next).version).toBe(8);
      await watch.stop();
    });

    it("ends a watch with UNAVAILABLE once the coordinator has been away too long", async () => {
      const impatient = make({ reconnectSeconds: 0.4 });
      const { server, client } = await coordinated(new SmallCoordinator(), impatient);
      const error = failureOf(watching(client, -1).next());
      await server.close();
      expect(await error).toMatchObject({ code: "UNAVAILABLE" });
      expect((await error).message).toContain(`nobody answered at ${server.address} for 0.4 s`);
    });

    it("ends a watch quietly when its client closes", async () => {
      const { client } = await coordinated(new SmallCoordinator());
      const watch = client.watchWeights(-1, new AbortController().signal)[Symbol.asyncIterator]();
      const next = watch.next();
      await client.close();
      expect((await next).done).toBe(true);
    });

    it("passes on what a watch handler throws", async () => {
      const { control, client } = await coordinated(new SmallCoordinator());
      control.watchWeights = () => {
        throw new SkeinError("REFUSED", "no weights here");
      };
      const error = await failureOf(watching(client, -1).next());
      expect(error).toMatchObject({ code: "REFUSED", message: "no weights here" });
    });
  });

  describe("rollouts", () => {
    it("delivers every column exactly, discrete and continuous", async () => {
      const { learner, sender } = await learning();
      for (const rollout of [sampleRollout(1), sampleRollout(2, 5, false), sampleRollout(3, 0)]) {
        const sent = sender.send(rollout);
        await learner.ackNext();
        await sent;
        expect(learner.received.at(-1)?.rollout).toStrictEqual(rollout);
        expect(learner.received.at(-1)?.bytes).toBeGreaterThan(100);
      }
    });

    it("delivers a rollout over 1 MiB whole", async () => {
      const { learner, sender } = await learning();
      const rollout = sampleRollout(1, 200_000);
      const sent = sender.send(rollout);
      await learner.ackNext();
      await sent;
      expect(learner.received[0]?.bytes).toBeGreaterThan(4 * 2 ** 20);
      const arrived = encodeRollout(learner.received[0]?.rollout ?? sampleRollout(0));
      expect(sameBytes(arrived, encodeRollout(rollout))).toBe(true);
    });

    it("keeps the order of each of two senders", async () => {
      const { learner, server, sender } = await learning();
      const other = transport.connectRollouts(server.address);
      const sent: Promise<void>[] = [];
      for (let i = 1; i <= 30; i++) {
        sent.push(sender.send({ ...sampleRollout(i, (i * 977) % 5000), actorId: "a" }));
        sent.push(other.send({ ...sampleRollout(i, (i * 571) % 5000), actorId: "b" }));
      }
      for (let i = 1; i <= 60; i++) await learner.ackNext();
      await Promise.all(sent);
      for (const actor of ["a", "b"]) {
        const mine = learner.received.filter(({ rollout }) => rollout.actorId === actor);
        expect(mine.map(({ rollout }) => rollout.sequence)).toEqual(
          Array.from({ length: 30 }, (_, i) => i + 1),
        );
      }
    });

    it("never has more unacknowledged than there are credits", async () => {
      const { learner, sender } = await learning(make({ credits: 3 }));
      let resolved = 0;
      const sent = Array.from({ length: 12 }, (_, i) =>
        sender.send(sampleRollout(i + 1)).then(() => resolved++),
      );
      await eventually("the credits to be used", () => learner.held.length === 3);
      for (let answered = 1; answered <= 12; answered++) {
        await learner.ackNext();
        await eventually("its sender to hear", () => resolved === answered);
      }
      await Promise.all(sent);
      expect(learner.mostHeld).toBe(3);
      expect(learner.received).toHaveLength(12);
    });

    it("answers sends in the order in which the learner does", async () => {
      const { learner, sender } = await learning();
      const resolved: number[] = [];
      const sent = [1, 2, 3].map((i) => sender.send(sampleRollout(i)).then(() => resolved.push(i)));
      await eventually("three deliveries", () => learner.held.length === 3);
      for (const i of [2, 3, 1]) {
        learner.received[i - 1]?.ack();
        await eventually(`send ${i}`, () => resolved.at(-1) === i);
      }
      await Promise.all(sent);
    });

    it("surfaces a rejection as REFUSED with its reason, and goes on", async () => {
      const { learner, sender } = await learning();
      const first = failureOf(sender.send(sampleRollout(1)));
      await eventually("a delivery", () => learner.held.length === 1);
      learner.held.shift()?.reject("its policy is too old");
      expect(await first).toMatchObject({ code: "REFUSED", message: "its policy is too old" });
      const second = sender.send(sampleRollout(2));
      await learner.ackNext();
      await second;
    });

    it("rejects a rollout whose handler throws", async () => {
      const server = await transport.serveRollouts(() => {
        throw new SkeinError("SHAPE", "not a width I know");
      }, any);
      const error = await failureOf(transport.connectRollouts(server.address).send(sampleRollout(1)));
      expect(error).toMatchObject({ code: "SHAPE", message: "not a width I know" });
    });

    it("refuses a rollout over maxMessageBytes before sending it", async () => {
      const { sender } = await learning(make({ maxMessageBytes: 100_000 }));
      const error = await failureOf(sender.send(sampleRollout(1, 10_000)));
      expect(error.code).toBe("REFUSED");
      expect(error.message).toMatch(/^rollout run-1\/0\/1: \d+ bytes are over the limit of 100000: /);
    });

    it("refuses a rollout whose columns contradict one another", async () => {
      const { sender } = await learning();
      const sample = sampleRollout(1);
      const wrong = { ...sample, columns: { ...sample.columns, rewards: new Float32Array(4) } };
      const error = await failureOf(sender.send(wrong));
      expect(error).toMatchObject({
        code: "SHAPE",
        message: "rollout run-1/0/1: expected rewards [5], got [4]",
      });
    });

    it("is unmoved by what the caller does to its arrays after send", async () => {
      const { learner, sender } = await learning();
      const rollout = sampleRollout(1);
      const sent = sender.send(rollout);
      rollout.columns.rewards.fill(0);
      await learner.ackNext();
      await sent;
      expect(learner.received[0]?.rollout.columns.rewards).toEqual(sampleRollout(1).columns.rewards);
    });

    it("flushes on close, waiting for the acknowledgements", async () => {
      const { learner, sender } = await learning();
      const sent = Array.from({ length: 9 }, (_, i) => sender.send(sampleRollout(i + 1)));
      const closed = sender.close();
      for (let i = 0; i < 9; i++) await learner.ackNext();
      await closed;
      await Promise.all(sent);
      expect(learner.sequences).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect((await failureOf(sender.send(sampleRollout(10)))).code).toBe("UNAVAILABLE");
    });

    it("closes at the deadline, rejecting what nobody acknowledged", async () => {
      const { learner, sender } = await learning(make({ deadlineSeconds: 0.3 }));
      const sent = failureOf(sender.send(sampleRollout(1)));
      await eventually("a delivery", () => learner.held.length === 1);
      await sender.close();
      expect((await sent).message).toContain("with 1 rollouts unacknowledged");
    });

    it("sends what is unacknowledged again, in order, when the learner restarts", async () => {
      const { learner, server, sender } = await learning();
      const sent = Array.from({ length: 6 }, (_, i) => sender.send(sampleRollout(i + 1)));
      await eventually("four deliveries", () => learner.held.length === 4);
      learner.held[1]?.ack();
      await sent[1];
      await server.close();
      const restarted = new SmallLearner();
      await transport.serveRollouts(restarted.onDelivery, server.address);
      for (let i = 0; i < 5; i++) await restarted.ackNext();
      await Promise.all(sent);
      expect(restarted.sequences).toEqual([1, 3, 4, 5, 6]);
    });

    it("rejects with UNAVAILABLE once the learner has been away too long, and starts anew after", async () => {
      const { learner, server, sender } = await learning(make({ reconnectSeconds: 0.4 }));
      const sent = failureOf(sender.send(sampleRollout(1)));
      await eventually("a delivery", () => learner.held.length === 1);
      await server.close();
      expect(await sent).toMatchObject({ code: "UNAVAILABLE" });
      expect((await sent).message).toContain(`nobody answered at ${server.address} for 0.4 s`);
    });
  });
});

/** For arrays so long that vitest would take seconds to compare them. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
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
