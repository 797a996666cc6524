import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import type { NoticeEvent } from "../../core/progress.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createCoordinatorMetrics } from "../../core/telemetry/metrics.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { Control, RegisterRequest, Transport } from "../../core/transport/transport.js";
import { Coordinator } from "../../services/coordinator/coordinator.js";
import { failureOf, OPTIONS, sampleWeights } from "../transport/helpers.js";

// Time stands still unless a test moves it: what resolves here was woken, not timed out.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(async () => {
  await Promise.all(places.splice(0).map((place) => place.transport.close()));
  vi.useRealTimers();
});

const places: Place[] = [];
const ADDRESS = "memory:coordinator";

/** A batch is two fragments of 4 steps; one batch may be ahead. */
const RUN = {
  environment: { id: "CartPole-v1" },
  recipe: { params: { batchSteps: 8 } },
  actors: { processes: 2, environments: 2, fragmentSteps: 2 },
};

class Place {
  readonly notices: NoticeEvent[] = [];
  readonly metrics = createCoordinatorMetrics({ processMetrics: false });
  readonly coordinator: Coordinator;
  readonly transport: Transport = createMemoryTransport({ ...OPTIONS, deadlineSeconds: 60 });
  readonly control: Control;
  private ms = 0;

  constructor(run: Readonly<Record<string, unknown>> = {}) {
    this.coordinator = new Coordinator({
      config: parseRunConfig({ ...RUN, ...run }, "test"),
      metrics: this.metrics,
      notice: (event) => this.notices.push(event),
      log: createLogger({ role: "coordinator", level: "silent" }),
      now: () => this.ms,
    });
    this.control = this.transport.connectControl(ADDRESS);
  }

  static async open(run?: Readonly<Record<string, unknown>>): Promise<Place> {
    const place = new Place(run);
    places.push(place);
    await place.transport.serveControl(place.coordinator, ADDRESS);
    return place;
  }

  /** Lets `seconds` pass for everybody. */
  async pass(seconds: number): Promise<void> {
    this.ms += 1000 * seconds;
    await vi.advanceTimersByTimeAsync(1000 * seconds);
  }

  async actor(name = "a", index: number | null = null): Promise<string> {
    const { leaseId } = await this.control.register(registration({ role: "actor", name, index }));
    return leaseId;
  }

  async learner(change: Partial<RegisterRequest> = {}): Promise<string> {
    const { leaseId } = await this.control.register(
      registration({ role: "learner", name: "learner", dataAddress: "learner:1", ...change }),
    );
    return leaseId;
  }

  acquire(leaseId: string, seat: number, completedRequestId = 0): ReturnType<Control["acquire"]> {
    return this.control.acquire({ leaseId, seat, completedRequestId });
  }

  report(leaseId: string, change: object): ReturnType<Control["report"]> {
    const counts = { disposedSteps: 0, receivedSteps: 0, seatSequences: [] };
    const progress = { policyVersion: 0, updates: 0, envSteps: 0, meanReturn100: NaN };
    return this.control.report({ leaseId, phase: "running", ...progress, ...counts, ...change });
  }

  /** The present value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const page = await this.metrics.registry.metrics();
    return Number(new RegExp(`^skein_coordinator_${name} (\\S+)$`, "m").exec(page)?.[1]);
  }
}

function registration(change: Partial<RegisterRequest>): RegisterRequest {
  return {
    ...{ role: "actor", name: "a", index: null, dataAddress: "" },
    ...{ policyVersion: 0, disposedSteps: 0, receivedSteps: 0, seatSequences: [] },
    ...change,
  };
}

/** Lets everything that can run without time passing run. */
async function settle(): Promise<void> {
  for (let k = 0; k < 20; k++) await new Promise(setImmediate);
}

/** What `promise` gave, once it did; a call still under way when its test ends is none of its business. */
function outcome<T>(promise: Promise<T>): { value?: T } {
  const seen: { value?: T } = {};
  promise.then(
    (value) => (seen.value = value),
    () => undefined,
  );
  return seen;
}

describe("a coordinator", () => {
  it("tells who registers its lease, its place, its heartbeat and the run", async () => {
    const place = await Place.open();
    const first = await place.control.register(registration({ name: "a" }));
    const second = await place.control.register(registration({ name: "b" }));
    expect(first).toEqual({
      ...{ leaseId: first.leaseId, leaseSeconds: 5, heartbeatSeconds: 1 },
      ...{ runId: "run-s1", index: 0 },
    });
    expect(second.index).toBe(1);
    expect(second.leaseId).not.toBe(first.leaseId);
  });

  it("refuses an actor beyond the fleet of a deterministic run", async () => {
    const place = await Place.open({ deterministic: true });
    const error = await failureOf(place.actor("c", 2));
    expect(error.code).toBe("REFUSED");
    expect(error.message).toContain("expected an index below actors.processes (2)");
  });

  it("grants work at once to an actor while a learner runs, and says where the learner is", async () => {
    const place = await Place.open();
    await place.learner();
    const reply = await place.acquire(await place.actor(), 0);
    expect(reply).toMatchObject({ known: true, phase: "running", learnerAddress: "learner:1" });
    expect(reply.request).toMatchObject({ seat: 0, sequence: 1, policyVersion: 0, exact: false });
  });

  it("makes actors wait for a learner and wakes them when it comes", async () => {
    const place = await Place.open();
    const actor = await place.actor();
    const waiting = outcome(place.acquire(actor, 0));
    await settle();
    expect(waiting.value).toBeUndefined();
    expect(await place.control.heartbeat({ leaseId: actor, appliedVersion: -1 })).toMatchObject({
      known: true,
      phase: "waiting",
    });
    await place.learner({ policyVersion: 3 });
    await settle();
    expect(waiting.value?.request).toMatchObject({ sequence: 1, policyVersion: 3 });
  });

  it("wakes waiting actors when a report makes room", async () => {
    const place = await Place.open();
    const learner = await place.learner();
    const actor = await place.actor();
    for (let k = 0; k < 4; k++) expect((await place.acquire(actor, k)).request).not.toBeNull();
    const waiting = [4, 5, 6].map((seat) => outcome(place.acquire(actor, seat)));
    await settle();
    expect(waiting.map(({ value }) => value)).toEqual([undefined, undefined, undefined]);
    // Two of the four fragments made a batch: room for two more.
    const seatSequences = [
      [0, 1],
      [1, 1],
    ];
    const reply = await place.report(learner, {
      ...{ policyVersion: 1, receivedSteps: 8, disposedSteps: 8, seatSequences },
    });
    expect(reply).toEqual({ known: true, actors: 1 });
    await settle();
    expect(waiting.map(({ value }) => value?.request?.policyVersion)).toEqual([1, 1, undefined]);
    expect(await place.metric("running_steps")).toBe(16);
  });

  it("answers with no work after two seconds, and sooner where calls may take only one", async () => {
    for (const [deadlineSeconds, wait] of [
      [15, 2],
      [1, 0.5],
    ] as const) {
      const place = await Place.open({ transport: { deadlineSeconds } });
      const waiting = outcome(place.acquire(await place.actor(), 0));
      await settle();
      await place.pass(wait - 0.01);
      await settle();
      expect(waiting.value).toBeUndefined();
      await place.pass(0.01);
      await settle();
      expect(waiting.value).toMatchObject({ known: true, phase: "waiting", request: null });
    }
  });

  it("issues a dead actor's work again, at once, to whoever takes its seat", async () => {
    const place = await Place.open();
    const learner = await place.learner();
    const [dead, alive] = [await place.actor("dead"), await place.actor("alive")];
    for (const seat of [0, 1]) await place.acquire(dead, seat);
    for (const seat of [2, 3]) await place.acquire(alive, seat);
    const waiting = outcome(place.acquire(alive, 0));
    for (let second = 0; second < 5; second++) {
      await place.pass(1);
      for (const leaseId of [learner, alive]) await place.control.heartbeat({ leaseId, appliedVersion: 0 });
    }
    place.coordinator.tick();
    expect(place.notices).toEqual([]);
    await place.pass(0.5);
    const again = outcome(place.acquire(alive, 1));
    await settle();
    expect(again.value).toBeUndefined();
    place.coordinator.tick();
    await settle();
    expect(place.notices.map(({ message }) => message)).toEqual([
      "dead has not been heard of for 5 s; its work is issued again",
    ]);
    expect(again.value?.request).toMatchObject({ seat: 1, sequence: 1 });
    expect(waiting.value?.request).toBeNull();
    expect(await place.metric("voided_requests_total")).toBe(2);
    expect((await place.control.heartbeat({ leaseId: dead, appliedVersion: 0 })).known).toBe(false);
    expect((await place.acquire(dead, 0)).known).toBe(false);
  });

  it("keeps alive who asks for work, even without heartbeats", async () => {
    const place = await Place.open();
    const actor = await place.actor();
    for (let k = 0; k < 6; k++) {
      const asked = outcome(place.acquire(actor, 0));
      await settle();
      await place.pass(2);
      await settle();
      expect(asked.value).toMatchObject({ known: true });
      place.coordinator.tick();
    }
  });

  it("frees what an actor held when it leaves or registers again", async () => {
    const place = await Place.open();
    await place.learner();
    for (const depart of [
      (leaseId: string) => place.control.leave({ leaseId }),
      () => place.actor("a").then(() => undefined),
    ]) {
      const leaseId = await place.actor("a");
      for (let k = 0; k < 4; k++) await place.acquire(leaseId, k);
      expect(await place.metric("running_steps")).toBe(16);
      await depart(leaseId);
      place.coordinator.tick();
      expect(await place.metric("running_steps")).toBe(0);
    }
  });

  it("does not issue again what an actor has said is delivered", async () => {
    const place = await Place.open();
    await place.learner();
    const actor = await place.actor();
    const first = (await place.acquire(actor, 0)).request!;
    await place.acquire(actor, 0, first.requestId);
    await place.control.leave({ leaseId: actor });
    expect((await place.acquire(await place.actor(), 0)).request?.sequence).toBe(2);
    expect(await place.metric("voided_requests_total")).toBe(1);
  });

  it("stops granting while the learner is missing, and goes on with the next one's counts", async () => {
    const place = await Place.open();
    const actor = await place.actor();
    await place.learner();
    await place.acquire(actor, 0);
    for (let second = 0; second < 6; second++) {
      await place.pass(1);
      await place.control.heartbeat({ leaseId: actor, appliedVersion: 0 });
    }
    place.coordinator.tick();
    expect((await place.control.status()).phase).toBe("waiting");
    const waiting = outcome(place.acquire(actor, 0));
    await settle();
    expect(waiting.value).toBeUndefined();
    await place.learner({
      ...{ dataAddress: "learner:2", policyVersion: 6, receivedSteps: 48, disposedSteps: 48 },
      seatSequences: [[0, 12]],
    });
    await settle();
    expect(waiting.value).toMatchObject({ learnerAddress: "learner:2", phase: "running" });
    expect(waiting.value?.request).toMatchObject({ sequence: 13, policyVersion: 6 });
  });

  it("takes the books over from a learner after a restart of its own", async () => {
    const place = await Place.open();
    // As a new coordinator finds the world: a learner amid its run, holding three fragments of 4 steps.
    await place.learner({
      ...{ policyVersion: 9, receivedSteps: 100, disposedSteps: 88 },
      seatSequences: [
        [0, 7],
        [1, 8],
      ],
    });
    const actor = await place.actor();
    expect((await place.acquire(actor, 1)).request).toMatchObject({ sequence: 9, policyVersion: 9 });
    const full = outcome(place.acquire(actor, 0));
    await settle();
    expect(full.value).toBeUndefined();
  });

  it("ends every actor's lease when a learner goes back to a checkpoint, and none when it does not", async () => {
    const place = await Place.open();
    await place.learner();
    await place.control.publishWeights(sampleWeights(5));
    const actor = await place.actor();
    await place.learner({ policyVersion: 5 });
    expect((await place.control.heartbeat({ leaseId: actor, appliedVersion: 5 })).known).toBe(true);
    await place.learner({ policyVersion: 4 });
    expect((await place.control.heartbeat({ leaseId: actor, appliedVersion: 5 })).known).toBe(false);
    expect((await failureOf(place.control.fetchWeights(5))).code).toBe("REFUSED");
    await place.control.publishWeights(sampleWeights(4));
    expect((await place.control.fetchWeights(4)).version).toBe(4);
  });

  it("does not know the reports of a learner that another has replaced", async () => {
    const place = await Place.open();
    const first = await place.learner();
    const second = await place.learner();
    expect((await place.report(first, { policyVersion: 7 })).known).toBe(false);
    expect((await place.control.status()).policyVersion).toBe(0);
    expect((await place.report(second, { policyVersion: 1 })).known).toBe(true);
    expect((await place.control.status()).policyVersion).toBe(1);
  });

  it("does not take an actor's lease for the learner's", async () => {
    const place = await Place.open();
    await place.learner();
    const actor = await place.actor();
    expect((await place.report(actor, { phase: "finished" })).known).toBe(false);
    expect((await place.control.status()).phase).toBe("running");
  });

  it("tells everybody that the run is finished, even who waits for work, and grants no more", async () => {
    const place = await Place.open();
    const learner = await place.learner();
    const actor = await place.actor();
    for (let k = 0; k < 4; k++) await place.acquire(actor, k);
    const waiting = outcome(place.acquire(actor, 4));
    await settle();
    await place.report(learner, { phase: "finished", envSteps: 8 });
    await settle();
    expect(waiting.value).toMatchObject({ known: true, phase: "finished", request: null });
    expect((await place.control.heartbeat({ leaseId: actor, appliedVersion: 0 })).phase).toBe("finished");
    // The learner leaves; the run stays finished.
    await place.control.leave({ leaseId: learner });
    expect(await place.acquire(actor, 0)).toMatchObject({ phase: "finished", request: null });
  });

  it("says how the run stands", async () => {
    const place = await Place.open();
    const learner = await place.learner();
    const actor = await place.actor("one");
    await place.control.heartbeat({ leaseId: actor, appliedVersion: 2 });
    await place.report(learner, { policyVersion: 2, updates: 16, envSteps: 64, meanReturn100: 12.5 });
    await place.pass(1.5);
    const status = await place.control.status();
    expect(status).toMatchObject({
      ...{ runId: "run-s1", phase: "running", policyVersion: 2, updates: 16, envSteps: 64 },
      meanReturn100: 12.5,
      actors: [{ name: "one", index: 0, appliedVersion: 2, secondsSinceSeen: 1.5 }],
    });
    expect(JSON.parse(status.runConfig)).toMatchObject(RUN);
  });

  it("hands published weights to watchers and counts them", async () => {
    const place = await Place.open();
    const stop = new AbortController();
    const watch = place.control.watchWeights(-1, stop.signal)[Symbol.asyncIterator]();
    const next = watch.next();
    await settle();
    place.coordinator.tick();
    expect(await place.metric("watchers")).toBe(1);
    await place.control.publishWeights(sampleWeights(0));
    expect((await next).value).toEqual(sampleWeights(0));
    stop.abort();
    await watch.return?.();
    await settle();
    place.coordinator.tick();
    expect(await place.metric("watchers")).toBe(0);
  });
});
