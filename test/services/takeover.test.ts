import { describe, expect, it } from "vitest";
import { sampleDelivery } from "../transport/helpers.js";
import { outcome } from "./coordinator-place.js";
import { placesOfTests, workingSeat } from "./coordinator-places.js";

const places = placesOfTests("takeover");

describe("a learner that takes the place of another", () => {
  const trainedIn = (ids: readonly number[]) =>
    ids.map((id, k) => outcome(id, "trained", { version: k + 1 }));

  it("goes on above every version that was ever published, or as its own where there is none above", async () => {
    const { place } = await workingSeat(places, 0);
    await place.control.publishWeights(sampleDelivery(7), "learner");
    expect((await place.takeOver({ incarnation: "b", policyVersion: 4 })).policyVersion).toBe(8);
    // The reply was lost: the same learner registers as it did before.
    expect((await place.takeOver({ incarnation: "b", policyVersion: 4 })).policyVersion).toBe(8);
    await place.control.publishWeights(sampleDelivery(8), "learner");
    expect((await place.takeOver({ incarnation: "c", policyVersion: 8 })).policyVersion).toBe(8);
    expect((await place.takeOver({ incarnation: "d", policyVersion: 9 })).policyVersion).toBe(9);
  });

  it("with onTrain has lost what was trained since its checkpoint, and gets again what was held", async () => {
    const { place, learner, ids } = await workingSeat(places, 5);
    const outcomes = [...trainedIn(ids.slice(0, 3)), outcome(ids[3]!, "held")];
    await place.report(learner, { policyVersion: 3, checkpointVersion: 1, outcomes });
    const next = await place.learner({ incarnation: "b", policyVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 5, trained: 1, "failed(rolledBack)": 2, inFlight: 2 });
    await place.report(next, { policyVersion: 4, outcomes: [outcome(ids[3]!, "held")] });
    expect(await place.columns()).toMatchObject({ inFlight: 2 });
  });

  it("with onCheckpoint has open what was trained since its checkpoint: it is delivered again", async () => {
    const { place, learner, actor, ids } = await workingSeat(places, 4, { learner: { ack: "onCheckpoint" } });
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
    const { place, learner, ids } = await workingSeat(places, 3);
    await place.report(learner, { policyVersion: 3, outcomes: trainedIn(ids) });
    await place.report(learner, { policyVersion: 3, checkpointVersion: 3 });
    await place.learner({ incarnation: "b", policyVersion: 1 });
    expect(await place.columns()).toEqual({ submitted: 3, trained: 1, "failed(rolledBack)": 2 });
  });

  it("gives up what nobody alive can deliver once a lease's time is over, and not before", async () => {
    const { place, learner, actor, ids } = await workingSeat(places, 2);
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
    const { place, learner, actor, ids } = await workingSeat(places, 1, {
      transport: { reconnectSeconds: 20 },
    });
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
    const { place, learner, actor, ids } = await workingSeat(places, 1);
    await place.report(learner, { outcomes: [outcome(ids[0]!, "held")] });
    await place.control.leave({ leaseId: actor });
    await place.learner({ incarnation: "b" });
    await place.restart();
    await place.pass(5);
    place.coordinator.tick();
    expect(await place.columns()).toEqual({ submitted: 1, "failed(leaseEnded)": 1 });
  });

  it("has its fragments numbered above those that it has had, where the books are new and it is not", async () => {
    const place = await places.open();
    await place.learner({ policyVersion: 9 });
    expect((await place.work(await place.actor(), 0)).group).toBeGreaterThan(1e12);
  });
});
