/** Taking and settling over any transport: what is not settled is delivered again, to whoever is there. */
import { describe, expect, it } from "vitest";
import type { RolloutSender, Sending } from "../../../core/transport/transport.js";
import { eventually, failureOf, sampleRollout, SmallLearner } from "../helpers.js";
import { Harness, type Kind } from "./harness.js";

export function settlementConformance(kind: Kind): void {
  describe("taking and settling", () => {
    const h = new Harness(kind);

    it("are told apart: taken first, settled when the learner says so", async () => {
      const { learner, sender } = await h.learning();
      const sending = sender.send(sampleRollout(1));
      const seen = record([sending]);
      await learner.takeNext();
      await sending.taken;
      await fence(learner, sender);
      expect(seen).toEqual(["taken 0"]);
      learner.received[0]?.ack();
      await sending.settled;
      expect(seen).toEqual(["taken 0", "settled 0"]);
    });

    it("count once each: a second word changes nothing", async () => {
      const { learner, sender } = await h.learning();
      const first = sender.send(sampleRollout(1));
      await eventually("a delivery", () => learner.held.length === 1);
      const delivery = learner.held.shift();
      for (const say of [() => delivery?.take(), () => delivery?.ack(), () => delivery?.reject("late")]) {
        say();
        say();
      }
      await first.settled;
      const more = sendMany(sender, 2, 6);
      await eventually("as many as there are credits", () => learner.held.length === 4);
      await fence(learner, sender, 6);
      expect(learner.mostHeld).toBe(4);
      await Promise.all(more.map(({ settled }) => settled));
    });

    it("free credit at the taking, so that more may be unsettled than there are credits", async () => {
      const { learner, sender } = await h.learning();
      const sent = sendMany(sender, 1, 40);
      await eventually("as many as there are credits", () => learner.held.length === 4);
      for (let i = 0; i < 40; i++) await learner.takeNext();
      await Promise.all(sent.map(({ taken }) => taken));
      expect(learner.mostHeld).toBe(4);
      for (const delivery of learner.received) delivery.ack();
      await Promise.all(sent.map(({ settled }) => settled));
      expect(learner.groups).toEqual(upTo(40));
    });

    it("let a refusal come after the taking", async () => {
      const { learner, sender } = await h.learning();
      const sending = sender.send(sampleRollout(1));
      const refused = failureOf(sending.settled);
      await learner.takeNext();
      await sending.taken;
      learner.received[0]?.reject("a duplicate");
      expect(await refused).toMatchObject({ code: "REFUSED", message: "a duplicate" });
    });

    it("reject both where the learner refuses what it did not take", async () => {
      const { learner, sender } = await h.learning();
      const sending = sender.send(sampleRollout(1));
      const both = Promise.all([failureOf(sending.taken), failureOf(sending.settled)]);
      await eventually("a delivery", () => learner.held.length === 1);
      learner.held[0]?.reject("too old");
      for (const error of await both) expect(error).toMatchObject({ code: "REFUSED", message: "too old" });
    });

    it("deliver thousands, taken and not settled, again and in order when the learner restarts", async () => {
      const first = new SmallLearner();
      const server = await h.transport.serveRollouts(first.taking, kind.any);
      const sent = sendMany(h.transport.connectRollouts(server.address), 1, 3000);
      const seen = record(sent);
      await Promise.all(sent.slice(0, 2500).map(({ taken }) => taken));
      for (const i of [0, 7, 2499]) first.received[i]?.ack();
      for (const i of [0, 7, 2499]) await sent[i]?.settled;
      await server.close();
      const restarted = new SmallLearner();
      await h.transport.serveRollouts(restarted.taking, server.address);
      const left = upTo(3000).filter((i) => ![1, 8, 2500].includes(i));
      await eventually("everything unsettled", () => restarted.received.length === left.length);
      expect(restarted.groups).toEqual(left);
      for (const delivery of restarted.received) delivery.ack();
      await Promise.all(sent.map(({ settled }) => settled));
      expect(seen.filter((word) => word.startsWith("taken"))).toHaveLength(3000);
    });

    it("hear nothing of a delivery that a dead learner settles late", async () => {
      const { learner, server, sender } = await h.learning();
      const sending = sender.send(sampleRollout(1));
      const seen = record([sending]);
      await learner.takeNext();
      await sending.taken;
      await server.close();
      learner.received[0]?.ack();
      const restarted = new SmallLearner();
      await h.transport.serveRollouts(restarted.onDelivery, server.address);
      await restarted.takeNext();
      expect(seen).toEqual(["taken 0"]);
      restarted.received[0]?.ack();
      await sending.settled;
    });

    it("deliver everything unsettled to where the learner has moved", async () => {
      const { learner, sender } = await h.learning();
      const sent = sendMany(sender, 1, 9);
      for (let i = 0; i < 3; i++) await learner.takeNext();
      await sent[2]?.taken;
      const elsewhere = new SmallLearner();
      const { address } = await h.transport.serveRollouts(elsewhere.onDelivery, kind.any);
      sender.moveTo(address);
      for (let i = 0; i < 9; i++) await elsewhere.ackNext();
      await Promise.all(sent.map(({ settled }) => settled));
      expect(elsewhere.groups).toEqual(upTo(9));
    });

    it("give up with UNAVAILABLE once the learner has been away too long", async () => {
      const { learner, server, sender } = await h.learning(h.make({ reconnectSeconds: 0.4 }));
      const sending = sender.send(sampleRollout(1));
      const failed = failureOf(sending.settled);
      await learner.takeNext();
      await sending.taken;
      await server.close();
      expect(await failed).toMatchObject({ code: "UNAVAILABLE" });
      expect((await failed).message).toContain(`nobody answered at ${server.address} for 0.4 s`);
    });
  });

  describe("the end of a sender", () => {
    const h = new Harness(kind);

    it("comes once all is settled, where the learner settles at once", async () => {
      const { learner, sender } = await h.learning();
      const sent = sendMany(sender, 1, 9);
      const closed = sender.close();
      for (let i = 0; i < 9; i++) await learner.ackNext();
      await closed;
      await Promise.all(sent.map(({ settled }) => settled));
      expect(learner.groups).toEqual(upTo(9));
      expect((await failureOf(sender.send(sampleRollout(10)).settled)).code).toBe("UNAVAILABLE");
    });

    it("does not wait for the settling of what is taken", async () => {
      const { learner, sender } = await h.learning();
      const sent = sendMany(sender, 1, 6);
      const failed = Promise.all(sent.map(({ settled }) => failureOf(settled)));
      const closed = sender.close();
      for (let i = 0; i < 6; i++) await learner.takeNext();
      await closed;
      await Promise.all(sent.map(({ taken }) => taken));
      for (const { message } of await failed) expect(message).toContain("with 6 rollouts unsettled");
    });

    it("comes at the deadline, rejecting what nobody took", async () => {
      const { learner, sender } = await h.learning(h.make({ deadlineSeconds: 0.3 }));
      const sending = sender.send(sampleRollout(1));
      const both = Promise.all([failureOf(sending.taken), failureOf(sending.settled)]);
      await eventually("a delivery", () => learner.held.length === 1);
      await sender.close();
      for (const { message } of await both) expect(message).toContain("with 1 rollouts unsettled");
    });

    it("rejects at once what it abandons", async () => {
      const { learner, sender } = await h.learning();
      const sent = sendMany(sender, 1, 6).map(({ settled }) => failureOf(settled));
      await eventually("four deliveries", () => learner.held.length === 4);
      sender.abandon();
      for (const error of await Promise.all(sent)) expect(error.code).toBe("UNAVAILABLE");
      expect((await failureOf(sender.send(sampleRollout(7)).settled)).code).toBe("UNAVAILABLE");
      await sender.close();
    });
  });
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

function sendMany(sender: RolloutSender, from: number, count: number): Sending[] {
  return Array.from({ length: count }, (_, i) => sender.send(sampleRollout(from + i)));
}

/** What is heard of each sending, in the order in which it is heard. */
function record(sent: readonly Sending[]): string[] {
  const seen: string[] = [];
  for (const [i, { taken, settled }] of sent.entries()) {
    void taken.then(
      () => seen.push(`taken ${i}`),
      () => undefined,
    );
    void settled.then(
      () => seen.push(`settled ${i}`),
      () => undefined,
    );
  }
  return seen;
}

/** Settles what is held and one more: acknowledgements come in order, so all words before have been heard then. */
async function fence(learner: SmallLearner, sender: RolloutSender, held = 0): Promise<void> {
  const last = sender.send(sampleRollout(1_000_000));
  for (let i = 0; i <= held; i++) await learner.ackNext();
  await last.settled;
}
