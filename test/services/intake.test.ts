import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { buffersOf } from "../../core/threads/buffers.js";
import type { Rollout } from "../../core/types.js";
import { parsePrometheus, valueOf } from "../telemetry/prometheus.js";
import { deliveryOf, smallRollout, type KeptDelivery, type SmallRollout } from "./fixture.js";
import { intakeOf, type KeptIntake } from "./learner-fixture.js";

const never = new AbortController().signal;
const ids = (batch: { readonly rollouts: readonly Rollout[] } | null): string[] =>
  batch!.rollouts.map((rollout) => rollout.rolloutId);

function deliver({ intake }: KeptIntake, rollout: SmallRollout | Rollout): KeptDelivery {
  const delivery = deliveryOf("columns" in rollout ? rollout : smallRollout(rollout));
  intake.deliver(delivery);
  return delivery;
}

/** Members of `group` that play task `task-0`. */
const member = (group: number, number: number, more: SmallRollout = {}): SmallRollout => ({
  ...{ task: "task-0", group, member: number, requestId: 100 * group + number, steps: 2 },
  ...more,
});

/** What was said of each request, by its number. */
const said = (kept: KeptIntake): Record<number, string> =>
  Object.fromEntries(
    kept.report().map(({ requestId, verdict, reason }) => [requestId, reason === "" ? verdict : reason]),
  );

describe("an intake", () => {
  it("seals a batch at batchSteps, the last rollout taken whole, in the order of arrival", async () => {
    const kept = intakeOf();
    deliver(kept, { seat: 1, steps: 5 });
    deliver(kept, { seat: 0, steps: 2 });
    deliver(kept, { seat: 2, steps: 4 });
    deliver(kept, { seat: 3, steps: 8 });
    const batch = await kept.intake.next(never);
    expect(ids(batch)).toEqual(["run/seat-1/1/0/1", "run/seat-0/1/0/1", "run/seat-2/1/0/1"]);
    expect(batch!.steps).toBe(11);
    expect(ids(await kept.intake.next(never))).toEqual(["run/seat-3/1/0/1"]);
  });

  it("holds a batch until it has been trained on, even where its arrays have been moved away", async () => {
    const kept = intakeOf();
    const { intake, ledger } = kept;
    deliver(kept, { seat: 0, steps: 8, requestId: 7 });
    deliver(kept, { seat: 1, steps: 5, requestId: 8 });
    const batch = await intake.next(never);
    structuredClone(batch!.rollouts, { transfer: buffersOf(batch!.rollouts) });
    expect(intake.held).toEqual({ rollouts: 2, steps: 13 });
    expect(ledger.total).toEqual({ rollouts: 0, steps: 0 });
    intake.trained(1);
    expect(intake.held).toEqual({ rollouts: 1, steps: 5 });
    expect(ledger.counts.trained).toEqual({ rollouts: 1, steps: 8 });
    expect(kept.report()).toContainEqual(
      expect.objectContaining({ requestId: 7, verdict: "trained", version: 1, steps: 8 }),
    );
  });

  it("makes the learner wait until a batch is there", async () => {
    const kept = intakeOf();
    const next = kept.intake.next(never);
    deliver(kept, { seat: 0 });
    deliver(kept, { seat: 1 });
    expect(ids(await next)).toEqual(["run/seat-0/1/0/1", "run/seat-1/1/0/1"]);
  });

  it("gives null once told to stop, before or while it waits", async () => {
    const kept = intakeOf();
    const stop = new AbortController();
    const next = kept.intake.next(stop.signal);
    stop.abort();
    expect(await next).toBeNull();
    deliver(kept, { steps: 8 });
    expect(await kept.intake.next(stop.signal)).toBeNull();
    expect(kept.intake.held.steps).toBe(8);
  });

  it("judges nothing before it knows which version the learner goes on as", () => {
    const kept = intakeOf({}, null);
    const delivery = deliver(kept, { versions: [6], requestId: 5 });
    expect(kept.report()).toEqual([]);
    kept.intake.begin(7);
    expect(said(kept)).toEqual({ 5: "held" });
    expect(delivery.taken).toBe(true);
  });

  it("settles what repeats the very attempt that was trained, and says nothing of it again", async () => {
    const kept = intakeOf();
    const first = deliver(kept, { steps: 8, requestId: 3 });
    await kept.intake.next(never);
    kept.intake.trained(1);
    expect(first.answer).toBe("");
    // Not confirmed yet: the newest delivery will be answered.
    const second = deliver(kept, { steps: 8, requestId: 3 });
    expect(said(kept)).toEqual({ 3: "trained" });
    expect([first.answer, second.answer]).toEqual(["", "ack"]);
    const third = deliver(kept, { steps: 8, requestId: 3 });
    expect(third.answer).toBe("ack");
    expect(kept.report()).toEqual([]);
    expect(kept.intake.received).toEqual({ rollouts: 1, steps: 8 });
  });

  it("keeps one of two deliveries of an attempt that it holds, and answers the newer", async () => {
    const kept = intakeOf();
    const first = deliver(kept, { steps: 8, requestId: 3 });
    const second = deliver(kept, { steps: 8, requestId: 3 });
    expect([first.taken, second.taken]).toEqual([true, true]);
    expect(kept.intake.held.rollouts).toBe(1);
    expect(ids(await kept.intake.next(never))).toHaveLength(1);
    // Also while it is being trained on.
    const third = deliver(kept, { steps: 8, requestId: 3 });
    kept.intake.trained(1);
    kept.report();
    expect([first.answer, second.answer, third.answer]).toEqual(["", "", "ack"]);
  });

  it("turns another attempt of work away as a duplicate, whether that is held or trained", async () => {
    const kept = intakeOf();
    deliver(kept, { steps: 8, attempt: 2, requestId: 3 });
    const early = deliver(kept, { steps: 8, attempt: 1, requestId: 1 });
    await kept.intake.next(never);
    kept.intake.trained(1);
    const late = deliver(kept, { steps: 8, attempt: 3, requestId: 9 });
    expect([early.answer, late.answer]).toEqual(["", ""]);
    expect(said(kept)).toEqual({ 1: "duplicate", 3: "trained", 9: "duplicate" });
    expect([early.answer, late.answer]).toEqual(["ack", "ack"]);
    expect(kept.ledger.counts.failed).toEqual({ duplicate: { rollouts: 2, steps: 16 } });
    // The ledger knows which attempt it was that it settled.
    expect(deliver(kept, { steps: 8, attempt: 2, requestId: 3 }).answer).toBe("ack");
    expect(kept.report()).toEqual([]);
  });

  it("answers a sender only once the coordinator has confirmed the outcome", async () => {
    const kept = intakeOf();
    const delivery = deliver(kept, { steps: 8, requestId: 3 });
    expect(said(kept)).toEqual({ 3: "held" });
    await kept.intake.next(never);
    const before = kept.settlements.unconfirmed();
    kept.intake.trained(1);
    const after = kept.settlements.unconfirmed();
    before.confirm();
    expect(delivery.answer).toBe("");
    after.confirm();
    expect(delivery.answer).toBe("ack");
  });

  it("with ack onCheckpoint, answers once a checkpoint holds what was learned, a repeat in between included", async () => {
    const kept = intakeOf({ ack: "onCheckpoint" });
    const first = deliver(kept, { group: 1, steps: 8 });
    await kept.intake.next(never);
    kept.intake.trained(1);
    deliver(kept, { group: 2, steps: 8 });
    await kept.intake.next(never);
    kept.intake.trained(2);
    kept.report();
    const again = deliver(kept, { group: 1, steps: 8 });
    const second = deliver(kept, { group: 2, steps: 8 });
    expect([first.answer, again.answer, second.answer]).toEqual(["", "", ""]);
    kept.settlements.saved(1);
    expect([first.answer, again.answer, second.answer]).toEqual(["", "ack", ""]);
    kept.settlements.saved(2);
    expect(second.answer).toBe("ack");
  });

  it("judges staleness by a rollout's oldest version and the version it would train", async () => {
    const kept = intakeOf({}, 5);
    const stale = deliver(kept, { seat: 0, versions: [3, 4, 5], requestId: 1 });
    deliver(kept, { seat: 1, versions: [4, 5] });
    deliver(kept, { seat: 2, versions: [5] });
    const batch = await kept.intake.next(never);
    expect(ids(batch)).toEqual(["run/seat-1/1/0/1", "run/seat-2/1/0/1"]);
    expect(said(kept)[1]).toBe("stale");
    expect(stale.answer).toBe("ack");
    const page = parsePrometheus(await kept.metrics.registry.metrics());
    expect(valueOf(page, "skein_learner_stale_rows_total")).toBe(1);
    expect(valueOf(page, "skein_learner_settled_rollouts_total", { outcome: "stale" })).toBe(1);
    expect(valueOf(page, "skein_learner_settled_steps_total", { outcome: "stale" })).toBe(4);
  });

  it("splits policyLag into what passed before arrival and what passed in the queue", async () => {
    const kept = intakeOf({ maxPolicyLag: 9 }, 5);
    deliver(kept, { seat: 0, versions: [3, 5] });
    deliver(kept, { seat: 1, versions: [4] });
    await kept.intake.next(never);
    deliver(kept, { seat: 2, versions: [2] });
    kept.intake.trained(6);
    deliver(kept, { seat: 3, versions: [6] });
    // Seat 2: collected with 2, arrived at 5, trained at 6; seat 3: all at 6.
    expect(await kept.intake.next(never)).toMatchObject({
      policyLag: { mean: 2, max: 4 },
      inFlightLag: { mean: 1.5, max: 3 },
      inQueueLag: { mean: 0.5, max: 1 },
    });
  });

  it("drops what becomes stale while it is held, at once", async () => {
    const kept = intakeOf();
    deliver(kept, { seat: 0, steps: 8 });
    deliver(kept, { seat: 1, requestId: 4 });
    await kept.intake.next(never);
    kept.intake.trained(2);
    expect(said(kept)[4]).toBe("stale");
    expect(kept.intake.held.rollouts).toBe(0);
  });

  it("refuses a version that does not exist yet, and takes another attempt of that work", async () => {
    const kept = intakeOf({}, 4);
    const delivery = deliver(kept, { versions: [4, 5], requestId: 6 });
    expect(delivery.answer).toBe("");
    expect(said(kept)).toEqual({ 6: "refused" });
    expect(delivery.answer).toBe("expected policy versions up to 4, which this learner has, got 5");
    deliver(kept, { versions: [4], steps: 8, attempt: 2 });
    expect(ids(await kept.intake.next(never))).toEqual(["run/seat-0/1/0/2"]);
  });

  it("sends rollouts of another run back without a word to the coordinator", () => {
    const kept = intakeOf();
    const delivery = deliver(kept, { runId: "other" });
    expect(delivery.answer).toBe("expected rollouts of run run, got one of run other");
    expect(kept.report()).toEqual([]);
    expect(kept.intake.received.rollouts).toBe(0);
  });

  it("gives senders room up to its capacity while it trains, and whatever it needs while it waits", async () => {
    const kept = intakeOf({ maxPolicyLag: 0, sampler: { batchSteps: 8 } });
    expect(kept.intake.capacitySteps).toBe(16);
    const deliveries = [1, 2, 3, 4].map((group) => deliver(kept, { group, steps: 8 }));
    const taken = (): boolean[] => deliveries.map((delivery) => delivery.taken);
    expect(taken()).toEqual([true, true, false, false]);
    await kept.intake.next(never);
    expect(taken()).toEqual([true, true, false, false]);
    kept.intake.trained(0);
    expect(taken()).toEqual([true, true, true, false]);

    // Full of one seat's fragments, it still needs the other seat's.
    const seats = intakeOf({ seats: 2, sampler: { batchSteps: 4 }, maxPolicyLag: 0 });
    const next = seats.intake.next(never);
    const ahead = [1, 2, 3, 4].map((group) => deliver(seats, { seat: 0, group }));
    // Once it has looked and found no batch.
    await new Promise(setImmediate);
    expect(ahead.every((delivery) => delivery.taken)).toBe(true);
    deliver(seats, { seat: 1 });
    expect(ids(await next)).toEqual(["run/seat-0/1/0/1", "run/seat-1/1/0/1"]);
  });

  it("with seats, makes a batch of the next fragment of each seat, in seat order, whatever the order of arrival", async () => {
    const random = new Random(4);
    for (let draw = 0; draw < 30; draw++) {
      const kept = intakeOf({ seats: 3, sampler: { batchSteps: 12 } });
      const sent = [0, 0, 0];
      for (let k = 0; k < 15; k++) {
        const open = [0, 1, 2].filter((seat) => sent[seat]! < 5);
        const seat = open[random.integer(open.length)]!;
        deliver(kept, { seat, group: ++sent[seat]! });
      }
      for (let k = 1; k <= 5; k++) {
        const expected = [0, 1, 2].map((seat) => `run/seat-${seat}/${k}/0/1`);
        expect(ids(await kept.intake.next(never))).toEqual(expected);
        kept.intake.trained(0);
      }
      expect(kept.intake.held.rollouts).toBe(0);
    }
  });
});

describe("an intake of groups", () => {
  const groups = (size: number, batchSteps: number): KeptIntake =>
    intakeOf({ groupSize: size, sampler: { batchSteps } });

  it("lets a group into a batch whole, in the order of its members, once the last one is there", async () => {
    const kept = groups(3, 6);
    for (const [group, number] of [
      [1, 2],
      [2, 0],
      [2, 2],
      [1, 0],
      [2, 1],
    ] as const)
      deliver(kept, member(group, number));
    expect(ids(await kept.intake.next(never))).toEqual([0, 1, 2].map((number) => `run/task-0/2/${number}/1`));
    kept.intake.trained(1);
    const next = kept.intake.next(never);
    deliver(kept, member(1, 1, { versions: [1] }));
    expect(ids(await next)).toEqual([0, 1, 2].map((number) => `run/task-0/1/${number}/1`));
  });

  it("takes a batch of as many whole groups as it needs", async () => {
    const kept = groups(2, 7);
    for (const group of [1, 2, 3]) for (const number of [0, 1]) deliver(kept, member(group, number));
    expect((await kept.intake.next(never))!.rollouts.map(({ group }) => group)).toEqual([1, 1, 2, 2]);
  });

  it("judges a group stale as a whole, by its oldest member, and only once it is complete", () => {
    const kept = groups(2, 4);
    kept.intake.begin(5);
    deliver(kept, member(1, 0, { versions: [3] }));
    expect(said(kept)).toEqual({ 100: "held" });
    deliver(kept, member(1, 1, { versions: [5] }));
    expect(said(kept)).toEqual({ 100: "stale", 101: "stale" });
  });

  it("drops what it holds of a void group, and its late members", () => {
    const kept = groups(3, 6);
    const held = [0, 2].map((number) => deliver(kept, member(4, number)));
    kept.intake.voidGroups([4]);
    kept.intake.voidGroups([4]);
    const late = deliver(kept, member(4, 1));
    expect(said(kept)).toEqual({ 400: "voidedGroup", 401: "voidedGroup", 402: "voidedGroup" });
    expect([...held, late].map(({ answer }) => answer)).toEqual(["ack", "ack", "ack"]);
    expect(kept.ledger.counts.filtered).toEqual({ voidedGroup: { rollouts: 3, steps: 6 } });
    // A repeat is no news.
    expect(deliver(kept, member(4, 1)).answer).toBe("ack");
    expect(kept.report()).toEqual([]);
    expect(kept.intake.held.rollouts).toBe(0);
  });

  it("trains a group that was complete before it heard that it is void", async () => {
    const kept = groups(2, 4);
    for (const number of [0, 1]) deliver(kept, member(1, number));
    kept.intake.voidGroups([1]);
    expect(ids(await kept.intake.next(never))).toHaveLength(2);
    kept.intake.voidGroups([1]);
    kept.intake.trained(1);
    kept.intake.voidGroups([1]);
    expect(said(kept)).toEqual({ 100: "trained", 101: "trained" });
    expect(kept.ledger.isVoid(1)).toBe(false);
  });
});

describe("an intake with a filter", () => {
  const filter = { reason: "same", keep: (scores: Float64Array) => scores[0] !== scores[1], maxBatches: 3 };

  /** A member of `group` with this return, two steps. */
  function scored(group: number, number: number, score: number): Rollout {
    const rollout = smallRollout(member(group, number, { episodeReturn: score }));
    rollout.columns.rewards[1] = score;
    return rollout;
  }

  it("settles groups that it keeps out as filtered, counts them, and tells the returns that were kept out", async () => {
    const kept = intakeOf({ groupSize: 2, sampler: { batchSteps: 8, filter } });
    const scores = [
      [1, 0],
      [2, 2],
      [0, 1],
      [3, 3],
    ] as const;
    const answers = scores.flatMap(([a, b], group) => [
      deliver(kept, scored(group, 0, a)),
      deliver(kept, scored(group, 1, b)),
    ]);
    const batch = await kept.intake.next(never);
    expect(batch!.rollouts.map(({ group }) => group)).toEqual([0, 0, 2, 2]);
    expect(batch!.filteredReturns.flatMap((returns) => [...returns])).toEqual([2, 2, 3, 3]);
    kept.intake.trained(1);
    expect(kept.ledger.counts).toMatchObject({
      trained: { rollouts: 4, steps: 8 },
      filtered: { same: { rollouts: 4, steps: 8 } },
    });
    expect(kept.intake.held).toEqual({ rollouts: 0, steps: 0 });
    expect(kept.ledger.total).toEqual(kept.intake.received);
    const outcomes = said(kept);
    expect([100, 101, 200, 201, 300].map((id) => outcomes[id])).toEqual([
      "same",
      "same",
      "trained",
      "trained",
      "same",
    ]);
    expect(answers.map(({ answer }) => answer)).toEqual(new Array<string>(8).fill("ack"));
  });

  it("lets groups in as they are once none came for too long, until the next batch", async () => {
    const notices: string[] = [];
    const kept = intakeOf({
      ...{ groupSize: 2, sampler: { batchSteps: 8, filter }, maxPolicyLag: 9 },
      notice: (message) => notices.push(message),
    });
    for (let group = 0; group < 20; group++) for (const one of [0, 1]) deliver(kept, scored(group, one, 0));
    // Four steps a group: the sixth makes 24, three batches; it and the ones after it enter.
    expect(kept.ledger.counts.filtered["same"]).toEqual({ rollouts: 10, steps: 20 });
    expect(notices).toHaveLength(1);
    expect((await kept.intake.next(never))!.rollouts.map(({ group }) => group)).toEqual([5, 5, 6, 6]);
    kept.intake.trained(1);
    for (const one of [0, 1]) deliver(kept, scored(50, one, 0));
    expect(kept.ledger.counts.filtered["same"]).toEqual({ rollouts: 12, steps: 24 });
  });
});
