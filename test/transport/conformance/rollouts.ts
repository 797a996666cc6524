/** Rollouts over any transport: exact, whole and in order. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../../core/errors.js";
import { encodeRollout } from "../../../core/transport/codec.js";
import { eventually, failureOf, sampleRollout } from "../helpers.js";
import { Harness, sameBytes, type Kind } from "./harness.js";

export function rolloutConformance(kind: Kind): void {
  describe("rollouts", () => {
    const h = new Harness(kind);

    it("delivers every column exactly, discrete and continuous", async () => {
      const { learner, sender } = await h.learning();
      for (const rollout of [sampleRollout(1), sampleRollout(2, 5, false), sampleRollout(3, 0)]) {
        const sent = sender.send(rollout).settled;
        await learner.ackNext();
        await sent;
        expect(learner.received.at(-1)?.rollout).toStrictEqual(rollout);
        expect(learner.received.at(-1)?.bytes).toBeGreaterThan(100);
      }
    });

    it("delivers a rollout over 1 MiB whole", async () => {
      const { learner, sender } = await h.learning();
      const rollout = sampleRollout(1, 200_000);
      const sent = sender.send(rollout).settled;
      await learner.ackNext();
      await sent;
      expect(learner.received[0]?.bytes).toBeGreaterThan(4 * 2 ** 20);
      const arrived = encodeRollout(learner.received[0]?.rollout ?? sampleRollout(0));
      expect(sameBytes(arrived, encodeRollout(rollout))).toBe(true);
    });

    it("keeps the order of each of two senders", async () => {
      const { learner, server, sender } = await h.learning();
      const other = h.transport.connectRollouts(server.address);
      const sent: Promise<void>[] = [];
      for (let i = 1; i <= 30; i++) {
        sent.push(sender.send({ ...sampleRollout(i, (i * 977) % 5000), actorId: "a" }).settled);
        sent.push(other.send({ ...sampleRollout(i, (i * 571) % 5000), actorId: "b" }).settled);
      }
      for (let i = 1; i <= 60; i++) await learner.ackNext();
      await Promise.all(sent);
      for (const actor of ["a", "b"]) {
        const mine = learner.received.filter(({ rollout }) => rollout.actorId === actor);
        expect(mine.map(({ rollout }) => rollout.group)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
      }
    });

    it("refuses a rollout over maxMessageBytes before sending it", async () => {
      const { sender } = await h.learning(h.make({ maxMessageBytes: 100_000 }));
      const error = await failureOf(sender.send(sampleRollout(1, 10_000)).settled);
      expect(error.code).toBe("REFUSED");
      expect(error.message).toMatch(
        /^rollout run-1\/seat-3\/1\/0\/1: \d+ bytes are over the limit of 100000: /,
      );
    });

    it("refuses a rollout whose columns contradict one another", async () => {
      const { sender } = await h.learning();
      const sample = sampleRollout(1);
      const wrong = { ...sample, columns: { ...sample.columns, rewards: new Float32Array(4) } };
      const error = await failureOf(sender.send(wrong).settled);
      expect(error).toMatchObject({
        code: "SHAPE",
        message: "rollout run-1/seat-3/1/0/1: expected rewards [5], got [4]",
      });
    });

    it("is unmoved by what the caller does to its arrays after send", async () => {
      const { learner, sender } = await h.learning();
      const rollout = sampleRollout(1);
      const sent = sender.send(rollout).settled;
      rollout.columns.rewards.fill(0);
      await learner.ackNext();
      await sent;
      expect(learner.received[0]?.rollout.columns.rewards).toEqual(sampleRollout(1).columns.rewards);
    });
  });
}

/** Where the sender hears what the learner does with each rollout: not where a broker answers for them. */
export function answerConformance(kind: Kind): void {
  describe("answers to rollouts", () => {
    const h = new Harness(kind);

    it("never has more untaken than there are credits", async () => {
      const { learner, sender } = await h.learning(h.make({ credits: 3 }));
      let resolved = 0;
      const sent = Array.from({ length: 12 }, (_, i) =>
        sender.send(sampleRollout(i + 1)).taken.then(() => resolved++),
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
      const { learner, sender } = await h.learning();
      const resolved: number[] = [];
      const sent = [1, 2, 3].map((i) => sender.send(sampleRollout(i)).settled.then(() => resolved.push(i)));
      await eventually("three deliveries", () => learner.held.length === 3);
      for (const i of [2, 3, 1]) {
        learner.received[i - 1]?.ack();
        await eventually(`send ${i}`, () => resolved.at(-1) === i);
      }
      await Promise.all(sent);
    });

    it("surfaces a rejection as REFUSED with its reason, and goes on", async () => {
      const { learner, sender } = await h.learning();
      const first = failureOf(sender.send(sampleRollout(1)).settled);
      await eventually("a delivery", () => learner.held.length === 1);
      learner.held.shift()?.reject("its policy is too old");
      expect(await first).toMatchObject({ code: "REFUSED", message: "its policy is too old" });
      const second = sender.send(sampleRollout(2)).settled;
      await learner.ackNext();
      await second;
    });

    it("rejects a rollout whose handler throws", async () => {
      const server = await h.transport.serveRollouts(() => {
        throw new SkeinError("SHAPE", "not a width I know");
      }, kind.any);
      const error = await failureOf(
        h.transport.connectRollouts(server.address).send(sampleRollout(1)).settled,
      );
      expect(error).toMatchObject({ code: "SHAPE", message: "not a width I know" });
    });
  });
}
