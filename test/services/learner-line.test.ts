import { afterEach, describe, expect, it } from "vitest";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type { Transport } from "../../core/transport/transport.js";
import { LearnerLine } from "../../services/actor/learner-line.js";
import { eventually, failureOf, OPTIONS, SmallLearner } from "../transport/helpers.js";
import { smallRollout } from "./fixture.js";

const open: Transport[] = [];
afterEach(() => Promise.all(open.splice(0).map((transport) => transport.close())));

function transportOf(): Transport {
  const transport = createMemoryTransport(OPTIONS);
  open.push(transport);
  return transport;
}

async function lineTo(...addresses: string[]): Promise<{ line: LearnerLine; learners: SmallLearner[] }> {
  const transport = transportOf();
  const learners = addresses.map(() => new SmallLearner());
  for (const [k, address] of addresses.entries()) {
    await transport.serveRollouts(learners[k]!.onDelivery, address);
  }
  const line = new LearnerLine((address) => transport.connectRollouts(address));
  return { line, learners };
}

describe("a line to the learner", () => {
  it("delivers nothing before it knows where the learner is", async () => {
    const { line } = await lineTo();
    line.moveTo("");
    expect(await line.send(smallRollout())).toBe(false);
    line.close();
  });

  it("says true once the learner has acknowledged, and throws what it refused", async () => {
    const { line, learners } = await lineTo("memory:a");
    line.moveTo("memory:a");
    const sent = line.send(smallRollout());
    await learners[0]!.ackNext();
    expect(await sent).toBe(true);
    const refused = failureOf(line.send(smallRollout({ sequence: 2 })));
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    learners[0]!.held[0]!.reject("another run");
    expect((await refused).code).toBe("REFUSED");
    line.close();
  });

  it("gives up what the old learner had not acknowledged when the learner moves, and goes on with the new one", async () => {
    const { line, learners } = await lineTo("memory:a", "memory:b");
    line.moveTo("memory:a");
    const lost = [1, 2].map((sequence) => line.send(smallRollout({ sequence })));
    await eventually("two deliveries", () => learners[0]!.held.length === 2);
    line.moveTo("memory:b");
    expect(await Promise.all(lost)).toEqual([false, false]);
    const sent = line.send(smallRollout({ sequence: 3 }));
    await learners[1]!.ackNext();
    expect(await sent).toBe(true);
    expect(learners.map(({ sequences }) => sequences)).toEqual([[1, 2], [3]]);
    line.close();
  });

  it("stays where it is when told the same address again, or none", async () => {
    const { line, learners } = await lineTo("memory:a");
    line.moveTo("memory:a");
    const sent = line.send(smallRollout());
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    line.moveTo("memory:a");
    line.moveTo("");
    await learners[0]!.ackNext();
    expect(await sent).toBe(true);
    line.close();
  });

  it("closes at once, even where nobody answers", async () => {
    const { line, learners } = await lineTo("memory:a");
    line.moveTo("memory:a");
    const held = line.send(smallRollout());
    await eventually("a delivery", () => learners[0]!.held.length === 1);
    line.close();
    expect(await held).toBe(false);
    expect(await line.send(smallRollout())).toBe(false);
  });
});
