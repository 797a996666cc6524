/** The whole actor over the memory transport; its seats play in this thread. */
import { afterEach, describe, expect, it } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import { box, discrete } from "../../core/env/spaces.js";
import type { Environment, EnvironmentSpec } from "../../core/env/environment.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import type { RunningRequest } from "../../core/transport/transport.js";
import { weightsOf } from "../../core/weights/payload.js";
import { Actor } from "../../services/actor/actor.js";
import { openWeights } from "../../services/actor/weights-line.js";
import { WeightsStore } from "../../services/actor/weights-store.js";
import { eventually, failureOf } from "../transport/helpers.js";
import { playerOver, surroundings, weightsFor, type Surroundings } from "./seat-fixture.js";

const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const SPEC: EnvironmentSpec = {
  ...{ id: "Endless", observationSpace: box([1], 0, 1e6), actionSpace: discrete(2) },
  ...{ maxEpisodeSteps: null, rewardThreshold: null },
};

const endless = (): Environment => ({
  reset: () => [0],
  step: () => ({ observation: [1], reward: 1, terminated: false, truncated: false }),
});

interface Running extends Pick<Surroundings, "coordinator" | "learner"> {
  readonly stop: AbortController;
  /** Settles when the actor has left. */
  readonly over: Promise<void>;
  readonly isOver: () => boolean;
}

/** An actor of one seat with two instances; weights of version 5 are there. */
async function start(groups: boolean, watchdogSeconds = 600): Promise<Running> {
  let running = (): readonly RunningRequest[] => [];
  const around = await surroundings({ watchdogSeconds, running: () => running() });
  const { options, transport, coordinator, learner } = around;
  const environment = vectorizeEnvironment(SPEC, endless, 2);
  coordinator.newest = weightsOf(weightsFor(environment, 5));
  const config = parseRunConfig({ environment: { id: "Endless" }, weights: { fanOut: 0 } }, "test");
  const follower = await openWeights({ ...options, config, transport, keep: (x) => x });
  const player = await playerOver(environment);
  const actor = new Actor({
    ...{ ...options, follower, groups, deterministic: false },
    ...{ weights: new WeightsStore(1), seats: [player] },
  });
  running = () => actor.beat();
  const stop = new AbortController();
  let over = false;
  const run = actor.run(stop.signal).finally(() => (over = true));
  run.catch(() => undefined);
  closing.push(async () => {
    stop.abort();
    learner.held.splice(0).forEach((delivery) => delivery.ack());
    await run.catch(() => undefined);
    await around.close();
    player.close();
  });
  return { coordinator, learner, stop, over: run, isOver: () => over };
}

async function calm(): Promise<void> {
  for (let k = 0; k < 50; k++) await new Promise(setImmediate);
}

const fragment = { task: "seat-3", start: "continue" as const };

describe("an actor", () => {
  it("that is asked to leave starts nothing new and stays until what it delivered is settled", async () => {
    const { coordinator, learner, stop, over, isOver } = await start(false);
    coordinator.grant(fragment);
    await eventually("a delivery", () => learner.held.length === 1);
    learner.held[0]!.take();
    await eventually("a call for more", () => coordinator.asks.length === 2);
    stop.abort();
    coordinator.grant(fragment);
    await calm();
    expect(isOver()).toBe(false);
    learner.held[0]!.ack();
    await over;
    expect(learner.received.length).toBe(1);
  });

  it("leaves without what the learner does not settle, after a while", async () => {
    const { coordinator, learner, stop, over } = await start(false);
    coordinator.grant(fragment);
    await eventually("a delivery", () => learner.held.length === 1);
    stop.abort();
    await over;
    expect(learner.held.length).toBe(1);
  }, 20_000);

  it("leaves at once when the run is finished", async () => {
    const { coordinator, learner, over } = await start(false);
    coordinator.grant(fragment);
    await eventually("a delivery", () => learner.held.length === 1);
    coordinator.phase = "finished";
    coordinator.wake();
    await over;
    expect(learner.held.length).toBe(1);
  });

  it("tells with its heartbeats how far it is with each member that it plays", async () => {
    const { coordinator, stop, over } = await start(true);
    const granted = coordinator.grant({ member: 0 }, { member: 1 });
    const told = (): readonly RunningRequest[] => coordinator.beats.at(-1)?.running ?? [];
    await eventually(
      "both to be told of",
      () => told().length === 2 && told().every(({ steps }) => steps > 0),
    );
    expect(told().map(({ requestId }) => requestId)).toEqual(granted.map(({ requestId }) => requestId));
    stop.abort();
    await over;
  });

  it("ends with what its watchdog found when nothing goes on", async () => {
    const { over } = await start(false, 0.5);
    const { code, message } = await failureOf(over);
    expect(code).toBe("STALLED");
    expect(message).toContain(
      "actor: no progress for 0.5 s: seat 3 waits for work from the coordinator at memory:coordinator",
    );
  });

  it("goes on through an episode that takes longer than the watchdog waits", async () => {
    const { coordinator, stop, over, isOver } = await start(true, 1);
    coordinator.grant({}, {});
    await eventually("an end, or twice the watchdog's time", isOver, 2).catch(() => undefined);
    expect(isOver()).toBe(false);
    stop.abort();
    await over;
  });

  it("ends with the coordinator's reason when it is shut out", async () => {
    const { coordinator, over } = await start(false);
    await eventually("a call for work", () => coordinator.asks.length === 1);
    coordinator.refusal = "actor-3 is shut out: 3 rollouts were refused";
    coordinator.registrations++;
    coordinator.wake();
    const { code, message } = await failureOf(over);
    expect([code, message]).toEqual(["REFUSED", "actor-3 is shut out: 3 rollouts were refused"]);
  });
});
