import { describe, expect, it } from "vitest";
import { sampleDelivery } from "../transport/helpers.js";
import { outcome, seen, settle } from "./coordinator-place.js";
import { placesOfTests, workingSeat } from "./coordinator-places.js";

const places = placesOfTests("deterministic");

describe("a deterministic run", () => {
  const run = { deterministic: true, staleness: { maxPolicyLag: 1 } };

  it("asks for fragment k of every seat with the version k − 2 exactly", async () => {
    const { place, learner, actor } = await workingSeat(places, 0, run);
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
    const { place, actor } = await workingSeat(places, 2, run);
    await place.control.leave({ leaseId: actor });
    const other = await place.actor("b");
    expect(await place.work(other, 0)).toMatchObject({ group: 1, attempt: 2, policyVersion: 0, exact: true });
    expect(await place.work(other, 0)).toMatchObject({ group: 2, attempt: 2, policyVersion: 0, exact: true });
  });

  it("goes on with all seats above the highest fragment when another learner comes", async () => {
    const { place, learner, actor } = await workingSeat(places, 2, run);
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
