import { afterEach, describe, expect, it } from "vitest";
import { createLogger } from "../../core/telemetry/logger.js";
import { createActorMetrics, type ActorMetrics } from "../../core/telemetry/metrics.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { Transport } from "../../core/transport/transport.js";
import { LearnerLine, type LearnerLineOptions } from "../../services/actor/learner-line.js";
import { parsePrometheus, valueOf } from "../telemetry/prometheus.js";
import { eventually, failureOf, OPTIONS, sampleRollout, SmallLearner } from "../transport/helpers.js";

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

interface Around {
  readonly line: LearnerLine;
  readonly transport: Transport;
  readonly learners: SmallLearner[];
  readonly metrics: ActorMetrics;
  readonly settled: () => number;
}

async function lineTo(
  addresses: readonly string[],
  options: Partial<LearnerLineOptions> = {},
  reconnectSeconds = 10,
): Promise<Around> {
  const transport = createMemoryTransport({ ...OPTIONS, reconnectSeconds });
  open.push(transport);
  const learners = addresses.map(() => new SmallLearner());
  for (const [k, address] of addresses.entries()) {
    await transport.serveRollouts(learners[k]!.onDelivery, address);
  }
  const metrics = createActorMetrics({ processMetrics: false });
  let settled = 0;
  const line = new LearnerLine({
    connect: (address) => transport.connectRollouts(address),
    capacityBytes: 2 ** 30,
    metrics,
    log: createLogger({ role: "actor", level: "silent" }),
    now: () => performance.now() / 1000,
    onSettled: () => settled++,
    ...options,
  });
  open.push(line);
  return { line, transport, learners, metrics, settled: () => settled };
}

async function valueIn(metrics: ActorMetrics, name: string): Promise<number> {
  return valueOf(parsePrometheus(await metrics.registry.metrics()), `skein_actor_${name}`);
}

/** Bytes of the arrays of `sampleRollout`, added up by hand for N = 5 steps and R = 2 rows. */
const SAMPLE_BYTES =
  // offsets, observations, actions, masks, anchors and their 12 bytes of text, post-decision states
  4 * 3 + 4 * 15 + 4 * 5 + 20 + 4 * 5 + 12 + 4 * 15 +
  // log-probabilities, rewards, mask, version runs
  4 * 5 + 4 * 5 + 5 + 4 * 2 + 4 * 2 +
  // initial states, final observations, terminated, truncated, stop reasons, trajectories, seeds, extras, counters
  (4 * 4 + 4 * 6 + 2 + 2 + 2 + 4 * 2 + 4 * 2 + 2 * 4 * 5 + 2 * 4 * 2); // prettier-ignore

describe("a line to the learner", () => {
  it("lets a seat go on once its rollout is taken, and keeps the rollout until it is settled", async () => {
    const { line, learners, metrics, settled } = await lineTo(["memory:a"]);
    line.moveTo("");
    line.moveTo("memory:a");
    const taken = line.send(sampleRollout(1));
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    expect(await valueIn(metrics, "untaken_rollouts")).toBe(1);
    learners[0]!.held[0]!.take();
    await taken;
    const gauges = ["untaken_rollouts", "unsettled_rollouts", "unsettled_bytes"];
    const shown = (): Promise<number[]> => Promise.all(gauges.map((name) => valueIn(metrics, name)));
    expect(await shown()).toEqual([0, 1, SAMPLE_BYTES]);
    expect(settled()).toBe(0);
    learners[0]!.held[0]!.ack();
    await line.flushed();
    expect(await shown()).toEqual([0, 0, 0]);
    expect(settled()).toBe(1);
    expect(await valueIn(metrics, "rollout_bytes_total")).toBe(SAMPLE_BYTES);
  });

  it("sends everything unsettled again, in order, to where the learner has moved, taken or not", async () => {
    const { line, learners, metrics, settled } = await lineTo(["memory:a", "memory:b"]);
    line.moveTo("memory:a");
    for (const seed of [1, 2, 3]) void line.send(sampleRollout(seed));
    await eventually("three deliveries", () => learners[0]!.held.length === 3);
    learners[0]!.held[0]!.take();
    learners[0]!.held[1]!.ack();
    await eventually("one settled", () => settled() === 1);
    line.moveTo("memory:b");
    void line.send(sampleRollout(4));
    await eventually("the rest at the new learner", () => learners[1]!.held.length === 3);
    expect(learners[1]!.groups).toEqual([1, 3, 4]);
    expect(await valueIn(metrics, "resent_rollouts_total")).toBe(2);
    for (const delivery of learners[1]!.held) delivery.ack();
    await line.flushed();
    expect(settled()).toBe(4);
  });

  it("stays where it is when told the same address again, or none", async () => {
    const { line, learners, metrics } = await lineTo(["memory:a"]);
    line.moveTo("memory:a");
    void line.send(sampleRollout(1));
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    line.moveTo("memory:a");
    line.moveTo("");
    expect(await valueIn(metrics, "resent_rollouts_total")).toBe(0);
    await learners[0]!.ackNext();
    await line.flushed();
    expect(learners[0]!.groups).toEqual([1]);
  });

  it("drops what the learner refuses, counts it, and goes on with the next", async () => {
    const { line, learners, metrics, settled } = await lineTo(["memory:a"]);
    let failed = false;
    line.failed.catch(() => (failed = true));
    line.moveTo("memory:a");
    const sent = [1, 2].map((seed) => line.send(sampleRollout(seed)));
    await eventually("two deliveries", () => learners[0]!.held.length === 2);
    learners[0]!.held[0]!.reject("a reward that is not finite");
    learners[0]!.held[1]!.ack();
    await Promise.all([...sent, line.flushed()]);
    expect([await valueIn(metrics, "refused_rollouts_total"), settled(), failed]).toEqual([1, 1, false]);
  });

  it("has no room while what is unsettled reaches its capacity", async () => {
    const { line, learners, metrics } = await lineTo(["memory:a"], { capacityBytes: SAMPLE_BYTES + 1 });
    expect(await valueIn(metrics, "unsettled_capacity_bytes")).toBe(SAMPLE_BYTES + 1);
    line.moveTo("memory:a");
    void line.send(sampleRollout(1));
    expect(line.hasRoom).toBe(true);
    void line.send(sampleRollout(2));
    expect(line.hasRoom).toBe(false);
    let room = false;
    const waiting = line.room().then(() => (room = true));
    await eventually("two deliveries", () => learners[0]!.held.length === 2);
    learners[0]!.held[0]!.take();
    learners[0]!.held[1]!.take();
    await eventually("both taken", () => learners[0]!.held.length === 2);
    await new Promise(setImmediate);
    expect(room).toBe(false);
    learners[0]!.held[0]!.ack();
    await waiting;
    expect(line.hasRoom).toBe(true);
  });

  it("fails where nobody answers for too long, and keeps silent about it once closed", async () => {
    const { line } = await lineTo([], {}, 0.1);
    line.moveTo("memory:nobody");
    void line.send(sampleRollout(1));
    expect((await failureOf(line.failed)).code).toBe("UNAVAILABLE");

    const { line: closing, learners } = await lineTo(["memory:a"]);
    let failed = false;
    closing.failed.catch(() => (failed = true));
    closing.moveTo("memory:a");
    const sent = closing.send(sampleRollout(2));
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    closing.close();
    await Promise.all([sent, closing.flushed()]);
    expect(failed).toBe(false);
  });

  it("does not know where to send before it is told", async () => {
    const { line } = await lineTo([]);
    expect((await failureOf(line.send(sampleRollout(1)))).message).toContain(
      "work came without a learner's address",
    );
  });
});
