import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readBooks } from "../../services/coordinator/read-books.js";
import { failureOf, sampleDelivery } from "../transport/helpers.js";
import { outcome, Place, seen, settle, STEPS } from "./coordinator-place.js";

let folder: string;
const places: Place[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  folder = mkdtempSync(join(tmpdir(), "skein-books-"));
});

afterEach(async () => {
  await Promise.all(places.splice(0).map((place) => place.kill()));
  rmSync(folder, { recursive: true, force: true });
  vi.useRealTimers();
});

async function open(run: Readonly<Record<string, unknown>> = {}): Promise<Place> {
  const place = await Place.open({ staleness: { maxPolicyLag: 9 }, ...run }, join(folder, "coordinator.db"));
  places.push(place);
  return place;
}

/** A learner at work and `count` requests of an actor's seat 0. */
async function working(count: number, run?: Readonly<Record<string, unknown>>) {
  const place = await open(run);
  const learner = await place.learner();
  const actor = await place.actor();
  const ids: number[] = [];
  for (let k = 0; k < count; k++) ids.push((await place.work(actor, 0)).requestId);
  return { place, learner, actor, ids };
}

describe("the books", () => {
  it("have every request in one column, with its reason, in rollouts and steps", async () => {
    const { place, learner, ids } = await working(6);
    const [held, trained, stale, filtered, refused] = ids as [number, number, number, number, number];
    await place.report(learner, {
      outcomes: [
        outcome(held, "held"),
        outcome(trained, "trained"),
        outcome(stale, "stale"),
        outcome(filtered, "filtered", { reason: "voidedGroup" }),
        outcome(refused, "failed", { reason: "refused" }),
      ],
    });
    expect(await place.books()).toEqual({
      submitted: { rollouts: 6, steps: 5 * STEPS },
      trained: { rollouts: 1, steps: STEPS },
      stale: { rollouts: 1, steps: STEPS },
      filtered: { voidedGroup: { rollouts: 1, steps: STEPS } },
      failed: { refused: { rollouts: 1, steps: STEPS } },
      inFlight: { rollouts: 2, steps: STEPS },
    });
  });

  it("do not change when an outcome is said again, or an older one comes late", async () => {
    const { place, learner, ids } = await working(1);
    const trained = outcome(ids[0]!, "trained");
    for (const said of [trained, trained, outcome(ids[0]!, "held"), outcome(ids[0]!, "stale")]) {
      await place.report(learner, { policyVersion: 1, outcomes: [said] });
      expect(await place.columns()).toEqual({ submitted: 1, trained: 1 });
    }
  });

  it("take no notice of outcomes of requests that were never made", async () => {
    const { place, learner } = await working(1);
    await place.report(learner, { outcomes: [outcome(77, "trained"), outcome(0, "held")] });
    expect(await place.columns()).toEqual({ submitted: 1, inFlight: 1 });
  });

  it("believe the learner: what was given up with its lease and arrived after all is trained", async () => {
    const { place, learner, actor, ids } = await working(1);
    await place.control.leave({ leaseId: actor });
    expect(await place.columns()).toEqual({ submitted: 1, "failed(leaseEnded)": 1 });
    const again = await place.work(await place.actor("b"), 0);
    expect(again).toMatchObject({ group: 1, attempt: 2 });
    await place.report(learner, {
      ...{ policyVersion: 1 },
      outcomes: [outcome(ids[0]!, "trained"), outcome(again.requestId, "failed", { reason: "duplicate" })],
    });
    expect(await place.columns()).toEqual({ submitted: 2, trained: 1, "failed(duplicate)": 1 });
  });

  it("do not issue again what arrives before it is granted anew", async () => {
    const { place, learner, actor, ids } = await working(1);
    await place.control.leave({ leaseId: actor });
    await place.report(learner, { outcomes: [outcome(ids[0]!, "held")] });
    expect(await place.work(await place.actor("b"), 0)).toMatchObject({ group: 2, attempt: 1 });
  });

  it("issue refused work again, and work whose repeat was a duplicate not", async () => {
    const { place, learner, actor, ids } = await working(2);
    await place.report(learner, {
      outcomes: [
        outcome(ids[0]!, "failed", { reason: "refused" }),
        outcome(ids[1]!, "failed", { reason: "duplicate" }),
      ],
    });
    expect(await place.work(actor, 0)).toMatchObject({ group: 1, attempt: 2 });
    expect(await place.work(actor, 0)).toMatchObject({ group: 3, attempt: 1 });
  });

  it("keep their sums when what is final is folded away, and later words about it change nothing", async () => {
    const { place, learner, actor, ids } = await working(4);
    const [early, late, stale, open] = ids as [number, number, number, number];
    const outcomes = [
      outcome(early, "trained", { version: 1 }),
      outcome(late, "trained", { version: 2 }),
      outcome(stale, "stale"),
    ];
    await place.report(learner, { policyVersion: 2, checkpointVersion: 1, outcomes });
    const before = { submitted: 4, trained: 2, stale: 1, inFlight: 1 };
    expect(await place.columns()).toEqual(before);
    await place.report(learner, { policyVersion: 3, checkpointVersion: 3, outcomes });
    expect(await place.columns()).toEqual(before);
    await place.report(learner, { policyVersion: 3, checkpointVersion: 3, outcomes });
    expect(await place.columns()).toEqual(before);
    expect((await place.books()).trained).toEqual({ rollouts: 2, steps: 2 * STEPS });
    expect(place.rows("requests")).toBe(1);
    await place.control.leave({ leaseId: actor });
    expect(await place.work(await place.actor("b"), 0)).toMatchObject({ group: 4, attempt: 2 });
    expect(open).toBeGreaterThan(stale);
  });

  it("fold lost attempts with the one that was trained in their place, but not before", async () => {
    const { place, learner, actor, ids } = await working(1);
    await place.control.leave({ leaseId: actor });
    const again = await place.work(await place.actor("b"), 0);
    const outcomes = [outcome(again.requestId, "trained", { version: 1 })];
    await place.report(learner, { policyVersion: 1, outcomes });
    await place.report(learner, { policyVersion: 1, checkpointVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 2, trained: 1, "failed(leaseEnded)": 1 });
    expect(place.rows("requests")).toBe(0);
    // The first attempt arrives now: its repeat is no news of a request that is final.
    await place.report(learner, { outcomes: [outcome(ids[0]!, "failed", { reason: "duplicate" })] });
    expect(await place.columns()).toEqual({ submitted: 2, trained: 1, "failed(leaseEnded)": 1 });
  });

  it("are on /metrics by state and reason, with the imbalance", async () => {
    const { place, learner, ids } = await working(3);
    await place.report(learner, {
      outcomes: [outcome(ids[0]!, "trained"), outcome(ids[1]!, "failed", { reason: "refused" })],
    });
    await place.pass(5);
    place.coordinator.tick();
    const page = await place.metrics.registry.metrics();
    expect(page).toContain('skein_coordinator_books_rollouts{state="submitted"} 3');
    expect(page).toContain('skein_coordinator_books_rollouts{state="trained"} 1');
    expect(page).toContain('skein_coordinator_books_steps{state="trained"} 4');
    expect(page).toContain('skein_coordinator_failed_rollouts{reason="refused"} 1');
    expect(await place.metric("books_imbalance_rollouts")).toBe(0);
    expect(page).toContain('skein_coordinator_actor_applied_version{actor="a"} -1');
  });

  it("tell what an actor used last, though it has left", async () => {
    const { place, actor } = await working(0);
    await place.control.heartbeat({ leaseId: actor, appliedVersion: 7, appliedHash: "ab", running: [] });
    await place.control.leave({ leaseId: actor });
    expect(readBooks(folder).services[0]).toMatchObject({
      ...{ role: "actor", name: "a", alive: false, appliedVersion: 7, appliedHash: "ab" },
    });
  });

  it("show an imbalance where a request was lost, so that balancing is not for granted", async () => {
    const { place } = await working(3);
    place.damage("DELETE FROM requests WHERE requestId = 2");
    expect(await place.columns()).toEqual({ submitted: 3, inFlight: 2, imbalance: 1 });
    await place.pass(5);
    place.coordinator.tick();
    expect(await place.metric("books_imbalance_rollouts")).toBe(1);
  });

  it("can be read from their file beside the coordinator and after its death", async () => {
    const { place, learner, ids } = await working(2);
    await place.control.publishWeights(sampleDelivery(1), "learner");
    await place.report(learner, { policyVersion: 1, outcomes: [outcome(ids[0]!, "trained")] });
    const beside = readBooks(folder);
    expect(beside).toMatchObject({
      ...{ runId: "run-s1", phase: "running", policyVersion: 1, publishedVersion: 1, checkpointVersion: -1 },
      imbalance: { rollouts: 0, steps: 0 },
      services: [
        { role: "actor", name: "a", alive: true, place: 0, quarantined: false },
        { role: "learner", name: "learner", alive: true },
      ],
      weights: [{ version: 1, mode: "full", rootHash: sampleDelivery(1).manifest.rootHash }],
    });
    expect(beside.books).toEqual(await place.books());
    await place.kill();
    places.pop();
    expect(readBooks(folder)).toEqual(beside);
  });
});

describe("a coordinator that is killed and started again", () => {
  it("knows leases, requests, numbers, versions and books", async () => {
    const { place, learner, actor, ids } = await working(3);
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
    const { place, actor } = await working(1);
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
    const { place, actor } = await working(1);
    const [granted] = (await place.acquire(actor, 0, { lastRequestId: 1 })).requests;
    await place.restart();
    expect((await place.acquire(actor, 0, { lastRequestId: 1 })).requests).toEqual([granted]);
  });

  it("issues lost work again that waited to be", async () => {
    const { place, actor } = await working(2);
    await place.control.leave({ leaseId: actor });
    await place.restart();
    const other = await place.actor("b");
    expect(await place.work(other, 0)).toMatchObject({ group: 1, attempt: 2 });
    expect(await place.work(other, 0)).toMatchObject({ group: 2, attempt: 2 });
    expect(await place.work(other, 0)).toMatchObject({ group: 3, attempt: 1 });
  });

  it("stays paused for what is left of the pause, and no longer", async () => {
    const { place, actor } = await working(1);
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
    expect(await place.work(actor, 0)).toBeDefined();
  });

  it("still shuts out whom it has shut out, and refuses the learner that was replaced", async () => {
    const { place, ids } = await working(1, { coordinator: { quarantineAfter: 1 } });
    const second = await place.learner({ incarnation: "second" });
    await place.report(second, { outcomes: [outcome(ids[0]!, "failed", { reason: "refused" })] });
    await place.restart();
    expect((await failureOf(place.actor("a"))).code).toBe("REFUSED");
    expect((await failureOf(place.learner({ incarnation: "one" }))).code).toBe("REFUSED");
  });

  it("does not start on the books of another run", async () => {
    const { place } = await working(1);
    const error = await failureOf(place.restart({ run: { seed: 9 } }));
    expect(error.code).toBe("BOOKS_MISMATCH");
  });

  it("without a file never uses a number again either", async () => {
    const ids: number[] = [];
    for (let life = 0; life < 2; life++) {
      const place = await Place.open();
      places.push(place);
      await place.learner();
      ids.push((await place.work(await place.actor(), 0)).requestId);
      // The clock that numbers begin from counts milliseconds.
      vi.setSystemTime(Date.now() + 5);
    }
    expect(ids[1]).toBeGreaterThan(ids[0]!);
  });
});

describe("a learner that takes the place of another", () => {
  const trainedIn = (ids: readonly number[]) =>
    ids.map((id, k) => outcome(id, "trained", { version: k + 1 }));

  it("goes on above every version that was ever published, or as its own where there is none above", async () => {
    const { place } = await working(0);
    await place.control.publishWeights(sampleDelivery(7), "learner");
    expect((await place.takeOver({ incarnation: "b", policyVersion: 4 })).policyVersion).toBe(8);
    // The reply was lost: the same learner registers as it did before.
    expect((await place.takeOver({ incarnation: "b", policyVersion: 4 })).policyVersion).toBe(8);
    await place.control.publishWeights(sampleDelivery(8), "learner");
    expect((await place.takeOver({ incarnation: "c", policyVersion: 8 })).policyVersion).toBe(8);
    expect((await place.takeOver({ incarnation: "d", policyVersion: 9 })).policyVersion).toBe(9);
  });

  it("with onTrain has lost what was trained since its checkpoint, and gets again what was held", async () => {
    const { place, learner, ids } = await working(5);
    const outcomes = [...trainedIn(ids.slice(0, 3)), outcome(ids[3]!, "held")];
    await place.report(learner, { policyVersion: 3, checkpointVersion: 1, outcomes });
    const next = await place.learner({ incarnation: "b", policyVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 5, trained: 1, "failed(rolledBack)": 2, inFlight: 2 });
    await place.report(next, { policyVersion: 4, outcomes: [outcome(ids[3]!, "held")] });
    expect(await place.columns()).toMatchObject({ inFlight: 2 });
  });

  it("with onCheckpoint has open what was trained since its checkpoint: it is delivered again", async () => {
    const { place, learner, actor, ids } = await working(4, { learner: { ack: "onCheckpoint" } });
    await place.report(learner, {
      policyVersion: 3,
      checkpointVersion: 1,
      outcomes: trainedIn(ids.slice(0, 3)),
    });
    const next = await place.learner({ incarnation: "b", policyVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 4, trained: 1, inFlight: 3 });
    const again = outcome(ids[1]!, "trained", { version: 4 });
    await place.report(next, { policyVersion: 4, outcomes: [again] });
    expect(await place.columns()).toEqual({ submitted: 4, trained: 2, inFlight: 2 });
    expect(await place.work(actor, 0)).toMatchObject({ group: 5, attempt: 1 });
  });

  it("that goes back behind a checkpoint long counted takes its versions out of the books", async () => {
    const { place, learner, ids } = await working(3);
    await place.report(learner, { policyVersion: 3, outcomes: trainedIn(ids) });
    await place.report(learner, { policyVersion: 3, checkpointVersion: 3 });
    await place.learner({ incarnation: "b", policyVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 3, trained: 1, "failed(rolledBack)": 2 });
  });

  it("gives up what nobody alive can deliver once a lease's time is over, and not before", async () => {
    const { place, learner, actor, ids } = await working(2);
    const alive = await place.actor("b");
    const other = await place.work(alive, 1);
    const held = [...ids, other.requestId].map((id) => outcome(id, "held"));
    await place.report(learner, { outcomes: held });
    await place.control.leave({ leaseId: actor });
    const next = await place.learner({ incarnation: "b" });
    for (let second = 0; second < 4; second++) {
      await place.pass(1);
      place.coordinator.tick();
      for (const leaseId of [next, alive]) await place.beat(leaseId);
    }
    expect(await place.columns()).toEqual({ submitted: 3, inFlight: 3 });
    // One of them comes, through a broker.
    await place.report(next, { outcomes: [outcome(ids[0]!, "held")] });
    await place.pass(1);
    place.coordinator.tick();
    expect(await place.columns()).toEqual({ submitted: 3, inFlight: 2, "failed(leaseEnded)": 1 });
    // Later than anybody would believe, so does the other.
    await place.report(next, { policyVersion: 1, outcomes: [outcome(ids[1]!, "trained")] });
    expect(await place.columns()).toEqual({ submitted: 3, trained: 1, inFlight: 2 });
  });

  it("gives up in the end what a living actor should have and does not deliver", async () => {
    const { place, learner, actor, ids } = await working(1, { transport: { reconnectSeconds: 20 } });
    await place.report(learner, { outcomes: [outcome(ids[0]!, "held")] });
    const next = await place.learner({ incarnation: "b" });
    for (let second = 0; second < 20; second++) {
      expect(await place.columns()).toEqual({ submitted: 1, inFlight: 1 });
      await place.pass(1);
      for (const leaseId of [next, actor]) await place.beat(leaseId);
      place.coordinator.tick();
    }
    expect(await place.columns()).toEqual({ submitted: 1, "failed(rolledBack)": 1 });
    await place.report(next, { outcomes: [outcome(ids[0]!, "held")] });
    expect(await place.columns()).toEqual({ submitted: 1, inFlight: 1 });
  });

  it("does the same on books that were opened anew in between", async () => {
    const { place, learner, actor, ids } = await working(1);
    await place.report(learner, { outcomes: [outcome(ids[0]!, "held")] });
    await place.control.leave({ leaseId: actor });
    await place.learner({ incarnation: "b" });
    await place.restart();
    await place.pass(5);
    place.coordinator.tick();
    expect(await place.columns()).toEqual({ submitted: 1, "failed(leaseEnded)": 1 });
  });

  it("has its fragments numbered above those that it has had, where the books are new and it is not", async () => {
    const place = await open();
    await place.learner({ policyVersion: 9 });
    expect((await place.work(await place.actor(), 0)).group).toBeGreaterThan(1e12);
  });
});

describe("a deterministic run", () => {
  const run = { deterministic: true, staleness: { maxPolicyLag: 1 } };

  it("asks for fragment k of every seat with the version k − 2 exactly", async () => {
    const { place, learner, actor } = await working(0, run);
    for (const group of [1, 2]) {
      for (const seat of [0, 1]) {
        expect(await place.work(actor, seat)).toMatchObject({ group, policyVersion: 0, exact: true });
      }
    }
    const waiting = [0, 1].map((seat) => seen(place.acquire(actor, seat, { lastRequestId: 4 })));
    await settle();
    expect(waiting.map(({ value }) => value)).toEqual([undefined, undefined]);
    await place.report(learner, {
      ...{ policyVersion: 1 },
      outcomes: [outcome(1, "trained"), outcome(2, "trained")],
    });
    await settle();
    for (const { value } of waiting) {
      expect(value?.requests).toMatchObject([{ group: 3, policyVersion: 1, exact: true }]);
    }
  });

  it("issues a lost fragment again with the same version", async () => {
    const { place, actor } = await working(2, run);
    await place.control.leave({ leaseId: actor });
    const other = await place.actor("b");
    expect(await place.work(other, 0)).toMatchObject({ group: 1, attempt: 2, policyVersion: 0, exact: true });
    expect(await place.work(other, 0)).toMatchObject({ group: 2, attempt: 2, policyVersion: 0, exact: true });
  });

  it("goes on with all seats above the highest fragment when another learner comes", async () => {
    const { place, learner, actor } = await working(2, run);
    await place.work(actor, 1);
    await place.control.publishWeights(sampleDelivery(1), "learner");
    await place.report(learner, { policyVersion: 1 });
    // Lost, and of no use any more: the next batch begins above it.
    await place.control.leave({ leaseId: actor });
    await place.takeOver({ incarnation: "b" });
    const other = await place.actor("b");
    for (const group of [3, 4]) {
      for (const seat of [0, 1]) {
        expect(await place.work(other, seat)).toMatchObject({
          group,
          attempt: 1,
          policyVersion: 2,
          exact: true,
        });
      }
    }
  });
});
