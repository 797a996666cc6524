import { describe, expect, it, vi } from "vitest";
import { failureOf, sampleDelivery } from "../transport/helpers.js";
import { outcome, seen, settle } from "./coordinator-place.js";
import { placesOfTests, workingSeat } from "./coordinator-places.js";

const places = placesOfTests("restart");

describe("a coordinator that is killed and started again", () => {
  it("knows leases, requests, numbers, versions and books", async () => {
    const { place, learner, actor, ids } = await workingSeat(places, 3);
    await place.control.publishWeights(sampleDelivery(5), "learner");
    await place.report(learner, {
      ...{ policyVersion: 5, updates: 7, envSteps: 40, meanReturn100: 2.5 },
      outcomes: [outcome(ids[0]!, "trained", { version: 5 }), outcome(ids[1]!, "held")],
    });
    const before = await place.control.status();
    await place.restart();
    const { actors, ...rest } = await place.control.status();
    expect({ ...rest, actors: [] }).toEqual({ ...before, actors: [] });
    expect(actors).toMatchObject([{ name: "a", index: 0 }]);
    expect((await place.beat(actor)).known).toBe(true);
    // The seat goes on under its lease; the learner, whose weights are nowhere else, registers again.
    const next = await place.work(actor, 0);
    expect(next).toMatchObject({ group: 4, attempt: 1, policyVersion: 5 });
    expect(next.requestId).toBeGreaterThan(Math.max(...ids));
    expect((await place.report(learner)).known).toBe(false);
    const again = await place.takeOver({ policyVersion: 5 });
    expect(again.policyVersion).toBe(5);
    expect(await place.columns()).toEqual({ submitted: 4, trained: 1, inFlight: 3 });
    expect((await failureOf(place.control.publishWeights(sampleDelivery(4), "learner"))).code).toBe(
      "REFUSED",
    );
    expect((await failureOf(place.control.publishWeights(sampleDelivery(5, 10), "learner"))).code).toBe(
      "REFUSED",
    );
    await place.control.publishWeights(sampleDelivery(5), "learner");
  });

  it("gives every lease its whole time anew, and then ends it", async () => {
    const { place, actor } = await workingSeat(places, 1);
    await place.pass(4.9);
    await place.restart();
    await place.pass(4.9);
    place.coordinator.tick();
    expect((await place.books()).inFlight.rollouts).toBe(1);
    expect((await place.control.status()).phase).toBe("running");
    await place.pass(0.2);
    place.coordinator.tick();
    expect(await place.columns()).toEqual({ submitted: 1, "failed(leaseEnded)": 1 });
    expect((await place.beat(actor)).known).toBe(false);
    expect((await place.control.status()).phase).toBe("waiting");
  });

  it("tells a seat again what was granted in a reply that died with it", async () => {
    const { place, actor } = await workingSeat(places, 1);
    const [granted] = (await place.acquire(actor, 0, { lastRequestId: 1 })).requests;
    await place.restart();
    expect((await place.acquire(actor, 0, { lastRequestId: 1 })).requests).toEqual([granted]);
  });

  it("issues lost work again that waited to be", async () => {
    const { place, actor } = await workingSeat(places, 2);
    await place.control.leave({ leaseId: actor });
    await place.restart();
    const other = await place.actor("b");
    expect(await place.work(other, 0)).toMatchObject({ group: 1, attempt: 2 });
    expect(await place.work(other, 0)).toMatchObject({ group: 2, attempt: 2 });
    expect(await place.work(other, 0)).toMatchObject({ group: 3, attempt: 1 });
  });

  it("stays paused for what is left of the pause, and no longer", async () => {
    const { place, actor } = await workingSeat(places, 1);
    await place.control.pause({ seconds: 10, reason: "" });
    for (let second = 0; second < 4; second++) {
      await place.pass(1);
      await place.beat(actor);
      place.coordinator.tick();
    }
    await place.restart();
    expect((await place.control.status()).pausedSeconds).toBe(6);
    for (let second = 0; second < 6; second++) {
      const waiting = seen(place.acquire(actor, 0, { lastRequestId: 1 }));
      await settle();
      expect(waiting.value).toBeUndefined();
      await place.pass(1);
    }
    expect((await place.work(actor, 0)).requestId).toBeGreaterThan(1);
  });

  it("still shuts out whom it has shut out, and refuses the learner that was replaced", async () => {
    const { place, ids } = await workingSeat(places, 1, { coordinator: { quarantineAfter: 1 } });
    const second = await place.learner({ incarnation: "second" });
    await place.report(second, { outcomes: [outcome(ids[0]!, "failed", { reason: "refused" })] });
    await place.restart();
    expect((await failureOf(place.actor("a"))).code).toBe("REFUSED");
    expect((await failureOf(place.learner({ incarnation: "one" }))).code).toBe("REFUSED");
  });

  it("does not start on the books of another run", async () => {
    const { place } = await workingSeat(places, 1);
    const error = await failureOf(place.restart({ run: { seed: 9 } }));
    expect(error.code).toBe("BOOKS_MISMATCH");
  });

  it("without a file never uses a number again either", async () => {
    const ids: number[] = [];
    for (let life = 0; life < 2; life++) {
      const place = await places.openInMemory();
      await place.learner();
      ids.push((await place.work(await place.actor(), 0)).requestId);
      // The clock that numbers begin from counts milliseconds.
      vi.setSystemTime(Date.now() + 5);
    }
    expect(ids[1]).toBeGreaterThan(ids[0]!);
  });
});
