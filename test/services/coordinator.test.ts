import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { failureOf, sampleDelivery } from "../transport/helpers.js";
import { outcome, Place, seen, settle } from "./coordinator-place.js";

// Time stands still unless a test moves it: what resolves here was woken, not timed out.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(async () => {
  await Promise.all(places.splice(0).map((place) => place.kill()));
  vi.useRealTimers();
});

const places: Place[] = [];

async function open(run?: Readonly<Record<string, unknown>>): Promise<Place> {
  const place = await Place.open(run);
  places.push(place);
  return place;
}

describe("a coordinator", () => {
  it("tells who registers its lease, its place, its heartbeat and the run", async () => {
    const place = await open();
    const first = await place.register({ name: "a" });
    const second = await place.register({ name: "b" });
    expect(first).toEqual({
      ...{ leaseId: first.leaseId, leaseSeconds: 5, heartbeatSeconds: 1 },
      ...{ runId: "run-s1", index: 0, policyVersion: 0 },
    });
    expect(second.index).toBe(1);
    expect(second.leaseId).not.toBe(first.leaseId);
  });

  it("refuses an actor beyond the fleet of a deterministic run", async () => {
    const place = await open({ deterministic: true });
    const error = await failureOf(place.actor("c", 2));
    expect(error.code).toBe("REFUSED");
    expect(error.message).toContain("expected an index below actors.processes (2)");
  });

  it("grants work at once to an actor while a learner runs, and says where the learner is", async () => {
    const place = await open();
    await place.learner();
    const reply = await place.acquire(await place.actor(), 0);
    expect(reply).toMatchObject({ known: true, phase: "running", learnerAddress: "learner:1" });
    expect(reply.requests).toHaveLength(1);
    expect(reply.requests[0]).toMatchObject({
      ...{ task: "seat-0", group: 1, member: 0, attempt: 1, seat: 0, start: "continue" },
      ...{ limits: { maxSteps: 0, deadlineSeconds: 0 }, branches: null, policyVersion: 0, exact: false },
    });
  });

  it("numbers each seat's fragments from 1, gives every request an id of its own and every attempt a seed", async () => {
    const place = await open({ staleness: { maxPolicyLag: 9 } });
    await place.learner();
    const actor = await place.actor();
    const requests = [];
    for (const seat of [0, 3, 0, 3]) requests.push(await place.work(actor, seat));
    expect(requests.map(({ task, group }) => [task, group])).toEqual([
      ["seat-0", 1],
      ["seat-3", 1],
      ["seat-0", 2],
      ["seat-3", 2],
    ]);
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(4);
    expect(new Set(requests.map(({ seed }) => seed)).size).toBe(4);
  });

  it("gives as many fragments in one reply as a seat has room for", async () => {
    const place = await open();
    await place.learner();
    const { requests } = await place.acquire(await place.actor(), 0, { capacity: 3 });
    expect(requests.map(({ group }) => group)).toEqual([1, 2, 3]);
  });

  it("tells a seat again what it was granted and has not heard of, and nothing else", async () => {
    const place = await open();
    await place.learner();
    const actor = await place.actor();
    const heard = await place.work(actor, 0);
    const [lost] = (await place.acquire(actor, 0, { lastRequestId: heard.requestId })).requests;
    await place.acquire(actor, 1);
    // The reply that brought `lost` never came.
    const again = await place.acquire(actor, 0, { lastRequestId: heard.requestId, capacity: 2 });
    expect(again.requests[0]).toEqual(lost);
    expect(again.requests[1]).toMatchObject({ group: 3 });
    expect((await place.books()).submitted.rollouts).toBe(4);
  });

  it("issues again at once what a seat gives back, and says why in the books", async () => {
    const place = await open();
    await place.learner();
    const actor = await place.actor();
    const { requestId } = await place.work(actor, 0);
    const failed = [{ requestId, reason: "environment" }];
    const reply = await place.acquire(actor, 0, { lastRequestId: requestId, failed });
    expect(reply.requests[0]).toMatchObject({ task: "seat-0", group: 1, attempt: 2 });
    // The reply was lost: the seat says the same again.
    await place.acquire(actor, 0, { lastRequestId: requestId, failed });
    expect(await place.columns()).toEqual({ submitted: 2, inFlight: 1, "failed(environment)": 1 });
  });

  it("lets no actor give back another's work, and keeps strange reasons out of the labels", async () => {
    const place = await open();
    await place.learner();
    const [a, b] = [await place.actor("a"), await place.actor("b")];
    const { requestId } = await place.work(a, 0);
    await place.acquire(b, 1, { failed: [{ requestId, reason: "environment" }] });
    expect(await place.columns()).toEqual({ submitted: 2, inFlight: 2 });
    await place.acquire(a, 0, { failed: [{ requestId, reason: "x".repeat(999) }], lastRequestId: requestId });
    expect(await place.columns()).toMatchObject({ "failed(environment)": 1 });
  });

  it("makes actors wait for a learner and wakes them when it comes", async () => {
    const place = await open();
    const actor = await place.actor();
    const waiting = seen(place.acquire(actor, 0));
    await settle();
    expect(waiting.value).toBeUndefined();
    expect(await place.beat(actor)).toMatchObject({ known: true, phase: "waiting" });
    await place.learner({ policyVersion: 3 });
    await settle();
    expect(waiting.value?.requests[0]).toMatchObject({ policyVersion: 3 });
  });

  it("grants (maxPolicyLag + 1) batches of whole fragments, and more when a report makes room", async () => {
    const place = await open();
    const learner = await place.learner();
    const actor = await place.actor();
    const granted = [];
    for (let seat = 0; seat < 4; seat++) granted.push(await place.work(actor, seat));
    const waiting = [4, 5, 6].map((seat) => seen(place.acquire(actor, seat)));
    await settle();
    expect(waiting.map(({ value }) => value)).toEqual([undefined, undefined, undefined]);
    // Held is not trained: no room yet.
    const held = granted.map(({ requestId }) => outcome(requestId, "held"));
    await place.report(learner, { outcomes: held });
    await settle();
    expect(waiting.map(({ value }) => value)).toEqual([undefined, undefined, undefined]);
    // Two of the four fragments made a batch: room for two more.
    const trained = granted.slice(0, 2).map(({ requestId }) => outcome(requestId, "trained"));
    const reply = await place.report(learner, { policyVersion: 1, outcomes: trained });
    expect(reply).toEqual({ known: true, actors: 1, voidedGroups: [] });
    await settle();
    expect(waiting.map(({ value }) => value?.requests[0]?.policyVersion)).toEqual([1, 1, undefined]);
    place.coordinator.tick();
    expect(await place.metric("pending_steps")).toBe(16);
    expect(await place.metric("limit_steps")).toBe(16);
    expect(await place.metric("waiting_seats")).toBe(1);
  });

  it("rounds a batch up to whole fragments, and grants two where one is more than a batch", async () => {
    for (const [batchSteps, expected] of [
      [9, 6],
      [1, 2],
    ] as const) {
      const place = await open({ recipe: { params: { batchSteps } } });
      await place.learner();
      const { requests } = await place.acquire(await place.actor(), 0, { capacity: 20 });
      expect(requests).toHaveLength(expected);
    }
  });

  it("answers with no work after two seconds, and sooner where calls may take only one", async () => {
    for (const [deadlineSeconds, wait] of [
      [15, 2],
      [1, 0.5],
    ] as const) {
      const place = await open({ transport: { deadlineSeconds } });
      const waiting = seen(place.acquire(await place.actor(), 0));
      await settle();
      await place.pass(wait - 0.01);
      await settle();
      expect(waiting.value).toBeUndefined();
      await place.pass(0.01);
      await settle();
      expect(waiting.value).toMatchObject({ known: true, phase: "waiting", requests: [] });
    }
  });

  it("issues a dead actor's work again, at once, to whoever takes its seat", async () => {
    const place = await open();
    const learner = await place.learner();
    const [dead, alive] = [await place.actor("dead"), await place.actor("alive")];
    for (const seat of [0, 1]) await place.work(dead, seat);
    for (const seat of [2, 3]) await place.work(alive, seat);
    const waiting = seen(place.acquire(alive, 0));
    for (let second = 0; second < 5; second++) {
      await place.pass(1);
      for (const leaseId of [learner, alive]) await place.beat(leaseId);
    }
    place.coordinator.tick();
    expect(place.notices).toEqual([]);
    await place.pass(0.5);
    const again = seen(place.acquire(alive, 1));
    await settle();
    expect(again.value).toBeUndefined();
    place.coordinator.tick();
    await settle();
    expect(place.notices.map(({ message }) => message)).toEqual([
      "dead has not been heard of for 5 s; its work is issued again",
    ]);
    expect(again.value?.requests[0]).toMatchObject({ task: "seat-1", group: 1, attempt: 2 });
    expect(waiting.value?.requests).toEqual([]);
    expect(await place.columns()).toMatchObject({ "failed(leaseEnded)": 2 });
    expect((await place.beat(dead)).known).toBe(false);
    expect((await place.acquire(dead, 0)).known).toBe(false);
  });

  it("keeps alive who asks for work, even without heartbeats", async () => {
    const place = await open();
    const actor = await place.actor();
    for (let k = 0; k < 6; k++) {
      const asked = seen(place.acquire(actor, 0));
      await settle();
      await place.pass(2);
      await settle();
      expect(asked.value).toMatchObject({ known: true });
      place.coordinator.tick();
    }
  });

  it("frees what an actor held when it leaves or registers again", async () => {
    const place = await open();
    await place.learner();
    for (const depart of [
      (leaseId: string) => place.control.leave({ leaseId }),
      () => place.actor("a").then(() => undefined),
    ]) {
      const leaseId = await place.actor("a");
      for (let k = 0; k < 4; k++) await place.work(leaseId, k);
      expect((await place.books()).inFlight.rollouts).toBe(4);
      await depart(leaseId);
      expect((await place.books()).inFlight.rollouts).toBe(0);
    }
  });

  it("does not issue again what the learner has, though its actor is gone", async () => {
    const place = await open();
    const learner = await place.learner();
    const actor = await place.actor();
    const held = await place.work(actor, 0);
    await place.work(actor, 0);
    await place.report(learner, { outcomes: [outcome(held.requestId, "held")] });
    await place.control.leave({ leaseId: actor });
    const next = await place.work(await place.actor("b"), 0);
    expect(next).toMatchObject({ group: 2, attempt: 2 });
    expect(await place.columns()).toEqual({ submitted: 3, inFlight: 2, "failed(leaseEnded)": 1 });
  });

  it("stops granting while the learner is missing", async () => {
    const place = await open();
    const actor = await place.actor();
    await place.learner();
    await place.work(actor, 0);
    for (let second = 0; second < 6; second++) {
      await place.pass(1);
      await place.beat(actor);
    }
    place.coordinator.tick();
    expect((await place.control.status()).phase).toBe("waiting");
    const waiting = seen(place.acquire(actor, 1));
    await settle();
    expect(waiting.value).toBeUndefined();
    await place.learner({ dataAddress: "learner:2" });
    await settle();
    expect(waiting.value).toMatchObject({ learnerAddress: "learner:2", phase: "running" });
    expect(waiting.value?.requests).toHaveLength(1);
  });

  it("does not know the reports of a learner that another has replaced, and refuses it for good", async () => {
    const place = await open();
    const first = await place.learner({ incarnation: "first" });
    const second = await place.learner({ incarnation: "second" });
    expect((await place.report(first, { policyVersion: 7 })).known).toBe(false);
    expect((await place.control.status()).policyVersion).toBe(0);
    expect((await place.report(second, { policyVersion: 1 })).known).toBe(true);
    expect((await place.control.status()).policyVersion).toBe(1);
    const error = await failureOf(place.learner({ incarnation: "first" }));
    expect(error.code).toBe("REFUSED");
    const late = await failureOf(place.control.publishWeights(sampleDelivery(1), "first"));
    expect(late.message).toMatch(/publish version 1: another learner has taken the place of this one/);
    await place.control.publishWeights(sampleDelivery(1), "second");
    expect((await place.report(second, { policyVersion: 2 })).known).toBe(true);
  });

  it("tells its watchdog what goes on, what the run waits for and when nothing has to go on", async () => {
    const place = await open();
    const { coordinator } = place;
    expect(coordinator.resting).toBe(true);
    await place.learner();
    expect(coordinator.resting).toBe(false);
    const before = coordinator.progress;
    await place.control.status();
    expect(coordinator.progress).toBe(before);
    await place.work(await place.actor(), 0);
    expect(coordinator.progress).not.toBe(before);
    expect(coordinator.waits()).toBe(
      "version 1 of the learner at learner:1, with 4 of 16 steps granted and not trained and 1 actors",
    );
    await place.control.pause({ seconds: 60, reason: "a look" });
    expect(coordinator.resting).toBe(true);
  });

  it("does not take an actor's lease for the learner's", async () => {
    const place = await open();
    await place.learner();
    const actor = await place.actor();
    expect((await place.report(actor, { phase: "finished" })).known).toBe(false);
    expect((await place.control.status()).phase).toBe("running");
  });

  it("tells everybody that the run is finished, even who waits for work, and grants no more", async () => {
    const place = await open();
    const learner = await place.learner();
    const actor = await place.actor();
    for (let k = 0; k < 4; k++) await place.work(actor, k);
    const waiting = seen(place.acquire(actor, 4));
    await settle();
    await place.report(learner, { phase: "finished", envSteps: 8 });
    await settle();
    expect(waiting.value).toMatchObject({ known: true, phase: "finished", requests: [] });
    expect((await place.beat(actor)).phase).toBe("finished");
    // The learner leaves; the run stays finished.
    await place.control.leave({ leaseId: learner });
    expect(await place.acquire(actor, 9)).toMatchObject({ phase: "finished", requests: [] });
  });

  it("hands out no work while it is paused, and goes on by itself", async () => {
    const place = await open();
    const learner = await place.learner();
    const actor = await place.actor();
    await place.control.pause({ seconds: 3, reason: "the lights flicker" });
    expect(place.notices.map(({ message }) => message)).toEqual(["paused for 3 s: the lights flicker"]);
    const waiting = seen(place.acquire(actor, 0));
    await settle();
    expect(waiting.value).toBeUndefined();
    await place.pass(2);
    for (const leaseId of [learner, actor]) await place.beat(leaseId);
    expect((await place.control.status()).pausedSeconds).toBe(1);
    const late = seen(place.acquire(actor, 0));
    await place.pass(1);
    place.coordinator.tick();
    await settle();
    expect(late.value?.requests).toHaveLength(1);
    expect((await place.control.status()).pausedSeconds).toBe(0);
  });

  it("goes on at once when told to, and refuses a pause that would never end", async () => {
    const place = await open();
    await place.learner();
    const actor = await place.actor();
    await place.control.pause({ seconds: 60, reason: "" });
    const waiting = seen(place.acquire(actor, 0));
    await settle();
    expect(waiting.value).toBeUndefined();
    await place.control.resume();
    await settle();
    expect(waiting.value?.requests).toHaveLength(1);
    for (const seconds of [Infinity, 0, NaN, -1]) {
      expect((await failureOf(place.control.pause({ seconds, reason: "" }))).code).toBe("REFUSED");
    }
  });

  it("says how the run stands", async () => {
    const place = await open();
    const learner = await place.learner();
    const actor = await place.actor("one");
    await place.control.heartbeat({ leaseId: actor, appliedVersion: 2, appliedHash: "ab", running: [] });
    await place.report(learner, { policyVersion: 2, updates: 16, envSteps: 64, meanReturn100: 12.5 });
    await place.pass(1.5);
    const status = await place.control.status();
    expect(status).toMatchObject({
      ...{ runId: "run-s1", phase: "running", policyVersion: 2, updates: 16, envSteps: 64 },
      meanReturn100: 12.5,
      actors: [{ name: "one", index: 0, appliedVersion: 2, secondsSinceSeen: 1.5 }],
    });
    expect(JSON.parse(status.runConfig)).toMatchObject({ recipe: { params: { batchSteps: 8 } } });
  });

  it("hands published weights to watchers and counts them", async () => {
    const place = await open();
    const stop = new AbortController();
    const any = { afterVersion: -1, relayAddress: "" };
    const watch = place.control.watchWeights(any, stop.signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await settle();
    place.coordinator.tick();
    expect(await place.metric("watchers")).toBe(1);
    const { manifest, payload } = sampleDelivery(0);
    await place.control.publishWeights({ manifest, payload }, "learner");
    expect((await next).value).toMatchObject({ version: 0, rootHash: manifest.rootHash, source: "" });
    const fetched = await place.control.fetchWeights({ version: 0, oldest: 0, base: null });
    expect(Buffer.compare(fetched.payload, payload)).toBe(0);
    stop.abort();
    await watch.return?.();
    await settle();
    place.coordinator.tick();
    expect(await place.metric("watchers")).toBe(0);
  });

  it("shuts out an actor whose rollouts were refused too often, by name and for good", async () => {
    const place = await open({ coordinator: { quarantineAfter: 2 } });
    const learner = await place.learner();
    const [bad, good] = [await place.actor("bad"), await place.actor("good")];
    const refuse = async (): Promise<void> => {
      const { requestId } = await place.work(bad, 0);
      const outcomes = [outcome(requestId, "failed", { reason: "refused" })];
      await place.report(learner, { outcomes });
      // A report that is repeated counts once.
      await place.report(learner, { outcomes });
    };
    await refuse();
    expect((await place.beat(bad)).known).toBe(true);
    await place.work(bad, 1);
    await refuse();
    expect((await place.beat(bad)).known).toBe(false);
    expect(place.notices.map(({ message }) => message)).toEqual([
      "bad is shut out: the learner refused its rollouts",
    ]);
    const error = await failureOf(place.actor("bad"));
    expect([error.code, error.message]).toEqual(["REFUSED", expect.stringContaining("shut out") as string]);
    // Its work is done by others.
    expect(await place.work(good, 1)).toMatchObject({ task: "seat-1", group: 1, attempt: 2 });
    expect(await place.work(good, 0)).toMatchObject({ task: "seat-0", group: 1, attempt: 3 });
  });
});
