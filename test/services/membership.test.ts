import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLearnerMetrics } from "../../core/telemetry/metrics.js";
import type { WeightsSnapshot } from "../../core/types.js";
import { WeightsPublisher } from "../../core/weights/publisher.js";
import { Membership } from "../../services/learner/membership.js";
import { failureOf } from "../transport/helpers.js";
import { outcome, Place, STEPS } from "./coordinator-place.js";
import { deliveryOf, smallRollout, type KeptDelivery } from "./fixture.js";
import { intakeOf, type KeptIntake } from "./learner-fixture.js";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** What a membership needs of a learner, with an intake that rollouts can be delivered to. */
class Small {
  weights: WeightsSnapshot;
  readonly kept: KeptIntake;

  private constructor(version: number, runId: string) {
    this.kept = intakeOf({ runId }, null);
    this.weights = this.at(version);
  }

  static async join(place: Place, incarnation: string, version = 0): Promise<[Small, Membership]> {
    const small = new Small(version, (await place.control.status()).runId);
    const publisher = new WeightsPublisher(
      place.control,
      incarnation,
      { deltas: true, anchorEvery: 20 },
      createLearnerMetrics({ processMetrics: false }),
    );
    const membership = await Membership.open({
      ...{ control: place.control, dataAddress: "learner:1", incarnation, publisher, learner: small },
      ...{ intake: small.kept.intake, settlements: small.kept.settlements, tick: () => undefined },
    });
    open.push(membership);
    return [small, membership];
  }

  get progress() {
    return { policyVersion: this.weights.version, updates: 0, envSteps: 0, meanReturn100: Number.NaN };
  }

  begin(version: number): void {
    this.weights = this.at(version);
    this.kept.intake.begin(version);
  }

  /** Trains the batch that is there. */
  async train(): Promise<void> {
    await this.kept.intake.next(new AbortController().signal);
    this.weights = this.at(this.weights.version + 1);
    this.kept.intake.trained(this.weights.version);
  }

  private at(version: number): WeightsSnapshot {
    // The same at first; no two learners ever learn the same.
    const data = Float32Array.of(version, version === 0 ? 0 : this.salt);
    return { version, tensors: [{ name: "w", dtype: "float32", shape: [2], data }] };
  }

  private readonly salt = Math.fround(performance.now());
}

async function collected(place: Place, actor: string, small: Small, seat: number): Promise<KeptDelivery> {
  const request = await place.work(actor, seat);
  const runId = (await place.control.status()).runId;
  const rollout = smallRollout({ ...request, runId, steps: STEPS, versions: [request.policyVersion] });
  const delivery = deliveryOf(rollout);
  small.kept.intake.deliver(delivery);
  return delivery;
}

async function openPlace(): Promise<Place> {
  const place = await Place.open();
  open.push({ close: () => place.kill() });
  return place;
}

describe("a learner's membership", () => {
  it("begins with the version that the coordinator names, and publishes its weights as that", async () => {
    const place = await openPlace();
    const [first, membership] = await Small.join(place, "one");
    expect(first.weights.version).toBe(0);
    first.weights = { ...first.weights, version: 3 };
    await membership.advance();
    // Goes on from a checkpoint of version 1, above everything that was published.
    const [second] = await Small.join(place, "two", 1);
    expect(second.weights.version).toBe(4);
    expect((await place.control.status()).policyVersion).toBe(4);
  });

  it("reports what became of rollouts, and settles them once the coordinator has it in its books", async () => {
    const place = await openPlace();
    const [small, membership] = await Small.join(place, "one");
    const actor = await place.actor();
    const deliveries = [await collected(place, actor, small, 0), await collected(place, actor, small, 1)];
    await small.train();
    expect(deliveries.map(({ answer }) => answer)).toEqual(["", ""]);
    expect(await membership.advance()).toBe(1);
    expect(deliveries.map(({ answer }) => answer)).toEqual(["ack", "ack"]);
    expect(await place.columns()).toEqual({ submitted: 2, trained: 2 });
  });

  it("says what it dropped without waiting for the second, as actors may wait for the room", async () => {
    const place = await openPlace();
    const everySecond = vi.spyOn(globalThis, "setInterval").mockReturnValue(setTimeout(() => undefined));
    onTestFinished(() => everySecond.mockRestore());
    const [small] = await Small.join(place, "one");
    const request = await place.work(await place.actor(), 0);
    const runId = (await place.control.status()).runId;
    const fromTheFuture = { ...request, runId, steps: STEPS, versions: [request.policyVersion + 5] };
    const delivery = deliveryOf(smallRollout(fromTheFuture));
    small.kept.intake.deliver(delivery);
    await expect.poll(() => delivery.answer, { timeout: 10_000 }).toMatch(/version/);
  });

  it("says what is not confirmed again under a new lease, where it has lost the one before", async () => {
    const place = await openPlace();
    const [small, membership] = await Small.join(place, "one");
    const actor = await place.actor();
    await collected(place, actor, small, 0);
    const delivery = await collected(place, actor, small, 1);
    await small.train();
    // Said by another, for one of the two: the learner's own word is the same.
    const { leaseId } = await place.takeOver({ incarnation: "one", policyVersion: 1 });
    await place.report(leaseId, { outcomes: [outcome(delivery.rollout.requestId, "held")] });
    await membership.advance();
    // That lease is not the newest: it registered again, and says everything with its next report.
    expect(await place.columns()).toMatchObject({ inFlight: 2 });
    await membership.advance();
    expect(delivery.answer).toBe("ack");
    expect(await place.columns()).toEqual({ submitted: 2, trained: 2 });
  });

  it("ends as REFUSED where another learner has taken over, and settles nothing any more", async () => {
    const place = await openPlace();
    const [small, membership] = await Small.join(place, "one");
    const actor = await place.actor();
    const deliveries = [await collected(place, actor, small, 0), await collected(place, actor, small, 1)];
    await small.train();
    await Small.join(place, "two");
    const failure = await failureOf(membership.advance());
    expect(failure.code).toBe("REFUSED");
    expect(deliveries.map(({ answer }) => answer)).toEqual(["", ""]);
    expect(await place.columns()).toEqual({ submitted: 2, inFlight: 2 });
  });
});
