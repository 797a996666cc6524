import { describe, expect, it } from "vitest";
import { readBooks } from "../../services/coordinator/read-books.js";
import { sampleDelivery } from "../transport/helpers.js";
import { outcome, STEPS } from "./coordinator-place.js";
import { placesOfTests, workingSeat } from "./coordinator-places.js";

const places = placesOfTests("books");

describe("the books", () => {
  it("have every request in one column, with its reason, in rollouts and steps", async () => {
    const { place, learner, ids } = await workingSeat(places, 6);
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
    const { place, learner, ids } = await workingSeat(places, 1);
    const trained = outcome(ids[0]!, "trained");
    for (const said of [trained, trained, outcome(ids[0]!, "held"), outcome(ids[0]!, "stale")]) {
      await place.report(learner, { policyVersion: 1, outcomes: [said] });
      expect(await place.columns()).toEqual({ submitted: 1, trained: 1 });
    }
  });

  it("take no notice of outcomes of requests that were never made", async () => {
    const { place, learner } = await workingSeat(places, 1);
    await place.report(learner, { outcomes: [outcome(77, "trained"), outcome(0, "held")] });
    expect(await place.columns()).toEqual({ submitted: 1, inFlight: 1 });
  });

  it("believe the learner: what was given up with its lease and arrived after all is trained", async () => {
    const { place, learner, actor, ids } = await workingSeat(places, 1);
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
    const { place, learner, actor, ids } = await workingSeat(places, 1);
    await place.control.leave({ leaseId: actor });
    await place.report(learner, { outcomes: [outcome(ids[0]!, "held")] });
    expect(await place.work(await place.actor("b"), 0)).toMatchObject({ group: 2, attempt: 1 });
  });

  it("issue refused work again, and work whose repeat was a duplicate not", async () => {
    const { place, learner, actor, ids } = await workingSeat(places, 2);
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
    const { place, learner, actor, ids } = await workingSeat(places, 4);
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
    const { place, learner, actor, ids } = await workingSeat(places, 1);
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
    const { place, learner, ids } = await workingSeat(places, 3);
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
    const { place, actor } = await workingSeat(places, 0);
    await place.control.heartbeat({ leaseId: actor, appliedVersion: 7, appliedHash: "ab", running: [] });
    await place.control.leave({ leaseId: actor });
    expect(readBooks(places.folder).services[0]).toMatchObject({
      ...{ role: "actor", name: "a", alive: false, appliedVersion: 7, appliedHash: "ab" },
    });
  });

  it("show an imbalance where a request was lost, so that balancing is not for granted", async () => {
    const { place } = await workingSeat(places, 3);
    place.damage("DELETE FROM requests WHERE requestId = 2");
    expect(await place.columns()).toEqual({ submitted: 3, inFlight: 2, imbalance: 1 });
    await place.pass(5);
    place.coordinator.tick();
    expect(await place.metric("books_imbalance_rollouts")).toBe(1);
  });

  it("can be read from their file beside the coordinator and after its death", async () => {
    const { place, learner, ids } = await workingSeat(places, 2);
    await place.control.publishWeights(sampleDelivery(1), "learner");
    await place.report(learner, { policyVersion: 1, outcomes: [outcome(ids[0]!, "trained")] });
    const beside = readBooks(places.folder);
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
    expect(readBooks(places.folder)).toEqual(beside);
  });
});
