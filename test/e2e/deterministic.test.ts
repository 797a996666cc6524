/** The same seed gives the same checkpoint, whatever carries the messages. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunEvent } from "../../core/progress.js";
import { natsMissing } from "../nats-server.js";
import { runInProcess } from "./in-process.js";
import { Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

const RUN = {
  deterministic: true,
  run: { name: "fixed", seed: 5 },
  environment: { id: "CartPole-v1" },
  recipe: { params: { batchSteps: 256, epochs: 2, minibatches: 2, learningRate: 0.001 } },
  model: { hidden: [16] },
  actors: { processes: 2, environments: 4, fragmentSteps: 32 },
  learner: { checkpointEvery: 5 },
  stop: { envSteps: 5000 },
};

function hashIn(events: readonly RunEvent[]): string {
  const said = events.flatMap((event) => (event.event === "notice" ? [event.message] : [])).join("\n");
  const hash = /sha256 ([0-9a-f]{64})/.exec(said)?.[1];
  if (hash === undefined) throw new Error(`no hash in: ${said}`);
  return hash;
}

async function hashOfProcesses(...args: string[]): Promise<string> {
  const { code, events } = await place.run("train", "run.yaml", "--json", ...args);
  expect(code).toBe(0);
  return hashIn(events);
}

async function hashInMemory(): Promise<string> {
  return hashIn((await runInProcess(RUN, join(place.folder, "in-memory"))).events);
}

// Five runs, one after the other.
const PATIENCE_MS = 300_000;

describe("a deterministic run", () => {
  it(
    "is bit-identical over gRPC, over NATS and in memory, and another with another seed",
    async () => {
      await place.runFile(RUN);
      const first = await hashOfProcesses();
      expect(await hashOfProcesses()).toBe(first);
      expect(await hashOfProcesses("--seed", "6")).not.toBe(first);
      expect(await hashInMemory()).toBe(first);
      if (natsMissing === null) expect(await hashOfProcesses("--set", "transport.kind=nats")).toBe(first);
      else process.stderr.write(`deterministic over NATS: ${natsMissing}\n`);
    },
    PATIENCE_MS,
  );
});
