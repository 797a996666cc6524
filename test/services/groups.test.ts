import { describe, expect, it } from "vitest";
import type { BranchPlan, RolloutRequest } from "../../core/types.js";
import type { Outcome } from "../../core/transport/transport.js";
import { uniformAllocator } from "../../services/coordinator/allocator.js";
import type { HistorySnapshot } from "../../services/coordinator/history.js";
import { readBooks } from "../../services/coordinator/read-books.js";
import { outcome, Place } from "./coordinator-place.js";
import { ended, everything, GROUPS, GROUPS_RUN, placesOfTests, workingGroups } from "./coordinator-places.js";

const places = placesOfTests("groups");
const NOTHING_KNOWN: HistorySnapshot = { tasks: 0, of: () => null };

describe("the groups of a run", () => {
  it("have members that share task and initial state, whoever collects them", async () => {
    const { place, actors } = await workingGroups(places);
    const first = (await place.acquire(actors[0], 0, { capacity: 2 })).requests;
    const second = (await place.acquire(actors[1], 1, { capacity: 2 })).requests;
    const members = [...first, ...second];
    expect(members.map(({ group, member, seat }) => [group, member, seat])).toEqual([
      [1, 0, 0],
      [1, 1, 0],
      [1, 2, 1],
      [2, 0, 1],
    ]);
    const { task, seed } = uniformAllocator(1, GROUPS.tasks).next(1, NOTHING_KNOWN);
    for (const request of members.slice(0, 3)) {
      expect(request).toMatchObject({ task, seed, attempt: 1, start: "reset", exact: false });
      expect(request.limits).toEqual({ maxSteps: 0, deadlineSeconds: 18 });
    }
  });

  it("are begun while there is room for them, each whole, with the lengths that members have had", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    // Two batches of 30 steps may be under way; a group counts as 30.
    expect(members.map(({ group }) => group)).toEqual([1, 1, 1, 2, 2, 2]);
    // Members turn out to have 5 steps: the first group makes 15 of a batch of 30.
    const outcomes = members.slice(0, 3).map(({ requestId }) => outcome(requestId, "held", ended(5)));
    await place.report(learner, { outcomes });
    const more = await everything(place, actors[1]);
    // 15 held + 15 that three more are now expected to have = 30 of 60: two groups of 15 more.
    expect(more.map(({ group }) => group)).toEqual([3, 3, 3, 4, 4, 4]);
    place.coordinator.tick();
    expect(await place.metric("limit_steps")).toBe(60);
    expect(await place.metric("pending_steps")).toBe(60);
  });

  it("are begun a bundle at a time where batches are of bundles, however long members turn out to be", async () => {
    const recipe = { id: "riskpo", params: { batchSteps: 30, bundleGroups: 5 } };
    const { place, learner, actors } = await workingGroups(places, {
      recipe,
      staleness: { maxPolicyLag: 0 },
    });
    const report = (
      of: readonly RolloutRequest[],
      verdict: Outcome["verdict"],
      steps: number,
      version = 0,
    ) => {
      const outcomes = of.map(({ requestId }) => outcome(requestId, verdict, { ...ended(steps), version }));
      return place.report(learner, { policyVersion: version, outcomes });
    };
    for (let version = 1; version <= 4; version++) {
      const members = await everything(place, actors[0]);
      expect(members).toHaveLength(15);
      await report(members, "trained", 2, version);
    }
    // A hundred times longer at once, and the last of five groups is not wanted.
    const members = await everything(place, actors[0]);
    expect(members).toHaveLength(15);
    await report(members.slice(0, 12), "held", 200, 4);
    await report(members.slice(12), "stale", 200, 4);
    const next = await everything(place, actors[1]);
    expect(next.map(({ group }) => group - members[0]!.group)).toEqual([5, 5, 5]);
  });

  it("are begun with the lengths that members have had lately, for policies change them", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const settleAll = async (length: number, version: number): Promise<number> => {
      const members = await everything(place, actors[0]);
      const outcomes = members.map(({ requestId }) =>
        outcome(requestId, "trained", { ...ended(length), version }),
      );
      await place.report(learner, { policyVersion: version, outcomes });
      return members.length;
    };
    for (let version = 1; version <= 40; version++) await settleAll(2, version);
    for (let version = 41; version <= 80; version++) await settleAll(200, version);
    // One group is far more than a batch now: two may be under way.
    expect(await settleAll(200, 81)).toBe(6);
  });

  it("are issued again where they were lost, to the next who asks and before anything else", async () => {
    const { place, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    await place.control.leave({ leaseId: actors[0] });
    const again = (await place.acquire(actors[1], 3, { capacity: 6 })).requests;
    expect(again.map(({ group, member, attempt }) => [group, member, attempt])).toEqual(
      members.map(({ group, member }) => [group, member, 2]),
    );
    expect(again.map(({ seed, task }) => [seed, task])).toEqual(
      members.map(({ seed, task }) => [seed, task]),
    );
  });

  it("have lost members issued again though there is no room for new ones: else none would be whole", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    const [lost, ...rest] = members as [RolloutRequest, ...RolloutRequest[]];
    const held = rest.map(({ requestId }) => outcome(requestId, "held", ended(100)));
    await place.report(learner, { outcomes: held });
    const failed = [{ requestId: lost.requestId, reason: "environment" }];
    const { requests } = await place.acquire(actors[0], 0, { failed, capacity: 9, lastRequestId: 99 });
    expect(requests).toMatchObject([{ group: 1, member: 0, attempt: 2 }]);
  });

  it("are sealed when the learner has every member, and settled when it has trained them", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = (await everything(place, actors[0])).slice(0, 3);
    const held = members.map(({ requestId }) => outcome(requestId, "held", ended(7)));
    await place.report(learner, { outcomes: held.slice(0, 2) });
    expect(await place.metric("sealed_groups_total")).toBe(0);
    await place.report(learner, { outcomes: held.slice(2) });
    expect(await place.metric("sealed_groups_total")).toBe(1);
    expect(readBooks(places.folder).groups).toEqual({ open: 1, sealed: 1, void: 0 });
    const trained = members.map(({ requestId }) => outcome(requestId, "trained", ended(7)));
    await place.report(learner, { policyVersion: 1, outcomes: trained });
    await place.report(learner, { policyVersion: 1, checkpointVersion: 1 });
    expect(await place.metric("sealed_groups_total")).toBe(1);
    expect(readBooks(places.folder).groups).toEqual({ open: 1, sealed: 1, void: 0 });
    expect(await place.columns()).toEqual({ submitted: 6, trained: 3, inFlight: 3 });
  });

  it("are void whole at their deadline; the learner is told until it has dropped what it holds", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = (await everything(place, actors[0])).slice(0, 3);
    const [there, late, never] = members as [RolloutRequest, RolloutRequest, RolloutRequest];
    const reply = await place.report(learner, { outcomes: [outcome(there.requestId, "held", ended(7))] });
    expect(reply.voidedGroups).toEqual([]);
    await place.beat(actors[0], [
      { requestId: late.requestId, steps: 400 },
      { requestId: never.requestId, steps: 900 },
    ]);
    await place.pass(19.9);
    place.coordinator.tick();
    expect((await place.report(learner)).voidedGroups).toEqual([]);
    await place.pass(0.1);
    place.coordinator.tick();
    expect(place.notices.map(({ message }) => message)).toEqual([
      "group 1 is void: not whole within 20 s; 1 members were there, 2 members were under way, after 400, 900 steps",
      "group 2 is void: not whole within 20 s; 0 members were there, 3 members were under way, after 0, 0, 0 steps",
    ]);
    for (let repeat = 0; repeat < 2; repeat++)
      expect((await place.report(learner)).voidedGroups).toEqual([1]);
    const dropped = outcome(there.requestId, "filtered", { reason: "voidedGroup", ...ended(7) });
    // A learner that goes back to a checkpoint would have it again, so it is told until a checkpoint has it.
    expect((await place.report(learner, { outcomes: [dropped] })).voidedGroups).toEqual([1]);
    expect((await place.report(learner, { policyVersion: 1, checkpointVersion: 1 })).voidedGroups).toEqual(
      [],
    );
    // One that comes late is held, and dropped when the learner hears of it.
    const held = await place.report(learner, { outcomes: [outcome(late.requestId, "held", ended(512))] });
    expect(held.voidedGroups).toEqual([1]);
    expect(await place.columns()).toEqual({
      ...{ submitted: 6, inFlight: 1 },
      ...{ "filtered(voidedGroup)": 1, "failed(deadline)": 4 },
    });
  });

  it("leave a record of the members that they did without: how long they were, and became", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = (await everything(place, actors[0])).slice(0, 3);
    const [there, late, never] = members as [RolloutRequest, RolloutRequest, RolloutRequest];
    await place.report(learner, { outcomes: [outcome(there.requestId, "held", ended(7))] });
    await place.beat(actors[0], [
      { requestId: late.requestId, steps: 400 },
      { requestId: never.requestId, steps: 900 },
    ]);
    await place.pass(20);
    place.coordinator.tick();
    await place.report(learner, { outcomes: [outcome(late.requestId, "held", ended(512))] });
    const stragglers = readBooks(places.folder).stragglers.filter(({ group }) => group === 1);
    expect(stragglers.map(({ member, attempt, steps, final }) => [member, attempt, steps, final])).toEqual([
      [2, 1, 900, 0],
      [1, 1, 512, 1],
    ]);
    const page = await place.metrics.registry.metrics();
    expect(page).toContain("skein_coordinator_voided_episode_steps_count 6");
    expect(page).toContain(`skein_coordinator_voided_episode_steps_sum ${7 + 400 + 900}`);
    expect(page).toContain(`skein_coordinator_straggler_steps_sum ${400 + 900}`);
    expect(page).toContain("skein_coordinator_sealed_episode_steps_count 0");
  });

  it("are void once a member was lost as often as it may be", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = (await everything(place, actors[0])).slice(0, 3);
    const unlucky = members[1]!;
    await place.report(learner, { outcomes: [outcome(members[0]!.requestId, "held", ended(7))] });
    const giveBack = (requestId: number) =>
      place.acquire(actors[0], 0, { failed: [{ requestId, reason: "environment" }], lastRequestId: 99 });
    const [again] = (await giveBack(unlucky.requestId)).requests;
    expect(again).toMatchObject({ group: 1, member: 1, attempt: 2 });
    await giveBack(again!.requestId);
    expect(place.notices.map(({ message }) => message)).toEqual([
      "group 1 is void: member 1 was lost 2 times; 1 members were there, 1 members were under way, after 0 steps",
    ]);
    expect((await place.report(learner)).voidedGroups).toEqual([1]);
    expect(await place.columns()).toMatchObject({ "failed(environment)": 2, "failed(voidedGroup)": 1 });
  });

  it("are sealed after all where the learner had trained them before it heard that they were void", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = (await everything(place, actors[0])).slice(0, 3);
    await place.pass(20);
    place.coordinator.tick();
    const trained = members.map(({ requestId }) => outcome(requestId, "trained", ended(7)));
    const reply = await place.report(learner, { policyVersion: 1, outcomes: trained });
    expect(reply.voidedGroups).toEqual([]);
    expect(readBooks(places.folder).groups).toEqual({ open: 0, sealed: 1, void: 1 });
    expect(await place.columns()).toEqual({ submitted: 6, trained: 3, "failed(deadline)": 3 });
  });

  it("have the branches of the method, as they were granted, after a restart too", async () => {
    const branches: BranchPlan = { at: [2, 9], states: 2, count: 4, maxSteps: 6 };
    const { place, actors } = await workingGroups(places, {}, { branches });
    const members = await everything(place, actors[0]);
    // A member counts as an episode and eight branches of 10 steps: one group is far more than a batch.
    expect(members.map(({ group }) => group)).toEqual([1, 1, 1, 2, 2, 2]);
    place.coordinator.tick();
    expect(await place.metric("pending_steps")).toBe(540);
    for (const request of members) expect(request.branches).toEqual(branches);
    await place.restart();
    const told = (await place.acquire(actors[0], 0, { capacity: 9, lastRequestId: 0 })).requests;
    expect(told).toEqual(members);
    const failed = [{ requestId: members[1]!.requestId, reason: "environment" }];
    const [again] = (await place.acquire(actors[0], 0, { failed, capacity: 1, lastRequestId: 99 })).requests;
    expect(again).toMatchObject({ member: 1, attempt: 2, branches });
  });

  it("have no branches where the method has none", async () => {
    const { place, actors } = await workingGroups(places);
    for (const { branches } of await everything(place, actors[0])) expect(branches).toBeNull();
  });

  it("are not begun with branches that cannot be played", async () => {
    const branches: BranchPlan = { at: "random", states: 2, count: 0, maxSteps: 6 };
    const opening = Place.open(GROUPS_RUN, null, { branches });
    await expect(opening).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      message: "branches: expected at least one branch from each state, got 0",
    });
  });

  it("go on after a restart, with their time anew", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    await place.report(learner, { outcomes: [outcome(members[0]!.requestId, "held", ended(10))] });
    const failed = [{ requestId: members[1]!.requestId, reason: "environment" }];
    await place.acquire(actors[0], 0, { failed, capacity: 1, lastRequestId: 99 });
    await place.pass(19);
    await place.restart();
    await place.pass(19);
    place.coordinator.tick();
    expect(readBooks(places.folder).groups).toEqual({ open: 2, sealed: 0, void: 0 });
    await place.pass(1);
    place.coordinator.tick();
    expect(readBooks(places.folder).groups).toEqual({ open: 0, sealed: 0, void: 2 });
    // What is held of a void group is pending until the learner has dropped it: 10 of 60 steps.
    const next = await everything(place, actors[0]);
    expect(next.map(({ group }) => group)).toEqual([3, 3, 3, 4, 4, 4]);
  });

  it("are open again where the learner that had them is gone, and void where it had trained them", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    const [first, second] = [members.slice(0, 3), members.slice(3, 6)];
    const outcomes = [
      ...first.map(({ requestId }) => outcome(requestId, "trained", ended(10))),
      ...second.map(({ requestId }) => outcome(requestId, "held", ended(10))),
    ];
    await place.report(learner, { policyVersion: 1, outcomes });
    expect(readBooks(places.folder).groups).toEqual({ open: 0, sealed: 2, void: 0 });
    const next = await place.learner({ incarnation: "b" });
    expect(readBooks(places.folder).groups).toEqual({ open: 1, sealed: 0, void: 1 });
    // Delivered again, it is sealed again; what was lost for good is not issued again.
    await place.report(next, {
      outcomes: second.map(({ requestId }) => outcome(requestId, "held", ended(10))),
    });
    expect(readBooks(places.folder).groups).toEqual({ open: 0, sealed: 1, void: 1 });
    expect(await place.columns()).toEqual({ submitted: 6, inFlight: 3, "failed(rolledBack)": 3 });
    expect(await everything(place, actors[0])).toMatchObject([{ group: 3 }, { group: 3 }, { group: 3 }]);
  });

  it("wait for a seat without a deadline until the first member is granted", async () => {
    const { place } = await workingGroups(places);
    await place.pass(1000);
    place.coordinator.tick();
    const actor = await place.actor("c");
    await place.learner();
    await everything(place, actor);
    place.coordinator.tick();
    expect(readBooks(places.folder).groups).toEqual({ open: 2, sealed: 0, void: 0 });
  });
});
