import { afterEach, describe, expect, it } from "vitest";
import type { Environment, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import { stepCount, type RolloutRequest } from "../../core/types.js";
import { Desk } from "../../services/actor/desk.js";
import { FragmentWork, MemberWork, type SeatWork } from "../../services/actor/seat-work.js";
import { parsePrometheus, valueOf } from "../telemetry/prometheus.js";
import { eventually, failureOf } from "../transport/helpers.js";
import { playerOver, surroundings, type Surroundings } from "./seat-fixture.js";

const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const SPEC: EnvironmentSpec = {
  ...{ id: "Countdown", observationSpace: box([1], 0, 1e6), actionSpace: discrete(2) },
  ...{ maxEpisodeSteps: null, rewardThreshold: null },
};

/** An episode of `seed` steps; throws at its start where the seed is 13. */
class Countdown implements Environment {
  private left = 0;
  reset({ seed }: { readonly seed: number }): number[] {
    if (seed === 13) throw new Error("unlucky");
    return [(this.left = seed % 1000)];
  }
  step(): ReturnType<Environment["step"]> {
    const terminated = --this.left === 0;
    return { observation: [this.left], reward: 1, terminated, truncated: false };
  }
}

interface Running extends Pick<Surroundings, "coordinator" | "learner"> {
  readonly metrics: ActorMetrics;
  readonly desk: Desk;
  readonly stop: AbortController;
  readonly work: SeatWork;
  /** Settles when the work ends. */
  readonly over: Promise<void>;
}

async function start(kind: "fragments" | "members", instances = 2, capacityBytes?: number): Promise<Running> {
  const around = await surroundings(capacityBytes === undefined ? {} : { capacityBytes });
  const { options, coordinator, learner } = around;
  const { metrics, now } = options;
  const player = await playerOver(vectorizeEnvironment(SPEC, () => new Countdown(), instances));
  const stop = new AbortController();
  const weightsFor = ({ policyVersion: version }: RolloutRequest) =>
    Promise.resolve({ version, tensors: [] });
  const desk = new Desk(3, { ...options, weightsFor }, stop.signal);
  const onSwaps = (swaps: number): void => metrics.weightSwaps.inc(swaps);
  const work =
    kind === "fragments"
      ? new FragmentWork(player, desk, onSwaps)
      : new MemberWork(player, desk, onSwaps, now);
  const over = work.run(new AbortController().signal);
  over.catch(() => undefined);
  closing.push(async () => {
    stop.abort();
    await around.close();
    await over.catch(() => undefined);
    player.close();
  });
  return { coordinator, learner, metrics, desk, stop, work, over };
}

/** Lets everything happen that needs no new event from outside. */
async function calm(): Promise<void> {
  for (let k = 0; k < 50; k++) await new Promise(setImmediate);
}

const fragment = (group: number) => ({ task: "seat-3", group, start: "continue" as const, seed: 900 });

describe("a seat that collects fragments", () => {
  it("goes on with the next while those before are taken and not settled, and says which work it has heard of", async () => {
    const { coordinator, learner } = await start("fragments");
    const requests = coordinator.grant(...[1, 2, 3, 4, 5].map(fragment));
    for (let k = 0; k < 5; k++) {
      await eventually("the next delivery", () => learner.held.length === k + 1);
      learner.held[k]!.take();
    }
    await eventually("a call for more", () => coordinator.asks.length === 6);
    expect(coordinator.asks.map(({ lastRequestId }) => lastRequestId)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(coordinator.asks.every(({ capacity, seat }) => capacity === 1 && seat === 3)).toBe(true);
    learner.received.forEach(({ rollout }, k) => {
      const { requestId, task, group } = requests[k]!;
      expect(rollout).toMatchObject({
        requestId,
        task,
        group,
        member: 0,
        attempt: 1,
        seat: 3,
        runId: "run-1",
      });
      expect(rollout.rolloutId).toBe(`run-1/seat-3/${group}/0/1`);
      expect(rollout.actorId).toBe("actor-3");
      expect(stepCount(rollout.columns)).toBe(8);
    });
  });

  it("delivers no second rollout and begins no third before the first is taken", async () => {
    const { coordinator, learner, metrics, desk } = await start("fragments");
    coordinator.grant(...[1, 2, 3].map(fragment));
    await eventually("the first delivery and a second fragment", () => coordinator.queue.length === 1);
    await eventually("the first delivery", () => learner.held.length === 1);
    await calm();
    expect([learner.received.length, coordinator.asks.length]).toEqual([1, 2]);
    learner.held[0]!.take();
    await eventually("the second delivery", () => learner.received.length === 2);
    learner.held[1]!.take();
    await eventually("the third", () => learner.received.length === 3);
    desk.clock.count();
    const page = parsePrometheus(await metrics.registry.metrics());
    for (const stage of ["work", "collect", "take"]) {
      expect(valueOf(page, "skein_actor_seat_seconds_total", { stage }), stage).toBeGreaterThan(0);
    }
    expect(valueOf(page, "skein_actor_env_steps_total")).toBe(24);
  });

  it("asks for no more work while unsettled rollouts fill their memory", async () => {
    const { coordinator, learner } = await start("fragments", 2, 1);
    coordinator.grant(fragment(1), fragment(2));
    await eventually("the first delivery", () => learner.held.length === 1);
    learner.held[0]!.take();
    await calm();
    expect(coordinator.asks.length).toBe(1);
    learner.held[0]!.ack();
    await eventually("the second delivery", () => learner.received.length === 2);
  });

  it("registers again where its lease is unknown, and keeps its episodes", async () => {
    const { coordinator, learner } = await start("fragments", 1);
    coordinator.grant(fragment(1));
    await learner.ackNext();
    await eventually("a call for more", () => coordinator.asks.length === 2);
    // Whoever takes the lease away: the next answer says so.
    coordinator.registrations++;
    coordinator.wake();
    await eventually("a call under the new lease", () => coordinator.asks.at(-1)!.leaseId === "lease-3");
    coordinator.grant(fragment(2));
    await learner.ackNext();
    const [first, second] = learner.received.map(({ rollout }) => rollout.columns);
    expect(second!.observations[0]).toBe(first!.finalObservations[0]);
    expect(second!.trajectoryIds).toEqual(first!.trajectoryIds);
    const incarnations = coordinator.asked.map((request) => (request as { incarnation: string }).incarnation);
    expect(new Set(incarnations.filter((text) => text !== undefined)).size).toBe(1);
  });

  it("ends when the run is finished", async () => {
    const { coordinator, over } = await start("fragments");
    await eventually("a call for work", () => coordinator.asks.length === 1);
    coordinator.phase = "finished";
    coordinator.wake();
    await over;
  });
});

describe("a seat that plays members of groups", () => {
  it("asks for as many as it has free instances, and delivers an episode each", async () => {
    const { coordinator, learner } = await start("members", 3);
    await eventually("a call for work", () => coordinator.asks.length === 1);
    expect(coordinator.asks[0]).toMatchObject({ capacity: 3, lastRequestId: 0, failed: [] });
    const group = [40, 50, 60].map((seed, member) => ({ group: 9, member, seed }));
    coordinator.grant(...group);
    for (let k = 0; k < 3; k++) await learner.ackNext();
    const lengths = learner.received.map(({ rollout: { group: number, member, columns } }) => [
      ...[number, member, stepCount(columns)],
    ]);
    expect(lengths.sort()).toEqual([
      [9, 0, 40],
      [9, 1, 50],
      [9, 2, 60],
    ]);
    await eventually("calls that are answered with nothing", () => {
      coordinator.wake();
      return coordinator.asks.at(-1)!.capacity === 3;
    });
    expect(coordinator.asks.at(-1)).toMatchObject({ lastRequestId: 3, failed: [] });
  });

  it("begins new members while others are being played, and says how far each is", async () => {
    const { coordinator, learner, work } = await start("members", 2);
    // 999 steps of this one outlast many of the others.
    const [long] = coordinator.grant({ seed: 999 });
    await eventually("the first to be played", () => work.running.some(({ steps }) => steps > 0));
    coordinator.grant({ seed: 3 });
    await learner.ackNext();
    expect(stepCount(learner.received[0]!.rollout.columns)).toBe(3);
    await eventually("only the long one", () => work.running.length === 1);
    expect(work.running[0]!.requestId).toBe(long!.requestId);
    expect(work.running[0]!.steps).toBeLessThan(999);
    await learner.ackNext();
    expect(stepCount(learner.received[1]!.rollout.columns)).toBe(999);
  });

  it("gives back what its environment failed in, with the next call that is heard", async () => {
    const { coordinator, learner, metrics } = await start("members", 1);
    coordinator.loseLeaseAtFailure = true;
    const [unlucky] = coordinator.grant({ seed: 13 });
    const given = [{ requestId: unlucky!.requestId, reason: "environment" }];
    await eventually("a call under a new lease", () => coordinator.asks.at(-1)!.leaseId === "lease-3");
    expect(coordinator.asks.slice(-2).map(({ leaseId, failed }) => [leaseId, failed])).toEqual([
      ["lease-1", given],
      ["lease-3", given],
    ]);
    coordinator.grant({ seed: 4 });
    await learner.ackNext();
    await eventually("a call after it", () => coordinator.asks.at(-1)!.lastRequestId === 2);
    expect(coordinator.asks.at(-1)!.failed).toEqual([]);
    const page = parsePrometheus(await metrics.registry.metrics());
    expect(valueOf(page, "skein_actor_returned_requests_total", { reason: "environment" })).toBe(1);
  });

  it("ends with the environment's error after ten failures in a row, and not before", async () => {
    const { coordinator, learner, over } = await start("members", 1);
    const unlucky = Array.from({ length: 9 }, () => ({ seed: 13 }));
    coordinator.grant(...unlucky, { seed: 5 }, ...unlucky);
    await learner.ackNext();
    await eventually("nine more failures", () => coordinator.queue.length === 0);
    coordinator.grant({ seed: 13 });
    const { code, message } = await failureOf(over);
    expect(code).toBe("ENVIRONMENT_FAILED");
    expect(message).toContain("10 episodes in a row failed, the last one so: ");
    expect(message).toContain('reset() threw "unlucky"');
  });

  it("ends soon when it is to stop, whatever is being played", async () => {
    const { coordinator, learner, over, stop, work } = await start("members", 2);
    coordinator.grant({ seed: 0 });
    await eventually("an endless episode", () => work.running.some(({ steps }) => steps > 0));
    stop.abort();
    await over;
    expect(learner.received).toEqual([]);
  });
});
