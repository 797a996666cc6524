import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { Fleet, type FleetOptions } from "./fleet.js";

let folder: string;
let fleets: Fleet[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-fleet-"));
});

afterEach(() => {
  for (const fleet of fleets.splice(0)) fleet.close();
  fleets = [];
  rmSync(folder, { recursive: true, force: true });
});

function open(options: FleetOptions, random: Random): Fleet {
  const fleet = new Fleet(options, random, join(folder, `${fleets.length}.db`));
  fleets.push(fleet);
  return fleet;
}

const FRAGMENTS: FleetOptions = {
  ...{ batchSteps: 9, fragmentSteps: 4, maxPolicyLag: 1, groupSize: null, seats: 4 },
  ...{ deterministic: false, broker: false, ack: "onTrain" },
};

const fleetsOf: Readonly<Record<string, FleetOptions>> = {
  "fragments, settled once trained": FRAGMENTS,
  "fragments through a broker": { ...FRAGMENTS, broker: true },
  "fragments, settled with a checkpoint": { ...FRAGMENTS, ack: "onCheckpoint" },
  "fragments, settled with a checkpoint, through a broker": {
    ...FRAGMENTS,
    ack: "onCheckpoint",
    broker: true,
  },
  "fragments longer than a batch, synchronous": { ...FRAGMENTS, batchSteps: 3, maxPolicyLag: 0 },
  "fragments in a fixed order": { ...FRAGMENTS, deterministic: true, batchSteps: 16 },
  groups: { ...FRAGMENTS, groupSize: 3, batchSteps: 20 },
  "groups, settled with a checkpoint, through a broker": {
    ...{ ...FRAGMENTS, groupSize: 3, batchSteps: 20, maxPolicyLag: 3 },
    ...{ ack: "onCheckpoint", broker: true },
  },
};

type Fault = (fleet: Fleet, random: Random) => void;

const oneFault: Readonly<Record<string, Fault>> = {
  "nothing happens": () => undefined,
  "actors die": (fleet, random) => {
    if (random.uniform() < 0.05) fleet.killActor();
  },
  "actors fall silent and come back": (fleet, random) => {
    if (random.uniform() < 0.03) fleet.silenceActor();
  },
  "the coordinator dies": (fleet, random) => {
    if (random.uniform() < 0.05) fleet.killCoordinator();
  },
  "the learner dies": (fleet, random) => {
    if (random.uniform() < 0.02) fleet.killLearner();
  },
};

const allOfIt: Fault = (fleet, random) => {
  if (random.uniform() < 0.02) fleet.killActor();
  if (random.uniform() < 0.01) fleet.silenceActor();
  if (random.uniform() < 0.02) fleet.killCoordinator();
  if (random.uniform() < 0.01) fleet.killLearner();
};

const cases: readonly (readonly [string, Fault, readonly number[]])[] = [
  ...Object.entries(oneFault).map(([what, fault]) => [what, fault, [1]] as const),
  ["all of it happens", allOfIt, [1, 2, 3]],
];

describe.each(Object.entries(fleetsOf))("a fleet that collects %s", (_kind, options) => {
  it.each(cases)(
    "keeps balanced books at every moment, trains nothing twice and comes to an end, where %s",
    (_what, fault, seeds) => {
      for (const seed of seeds) {
        const random = new Random(seed);
        const fleet = open(options, random);
        for (let k = 0; k < 250; k++) fleet.step(() => fault(fleet, random));
        // Whatever has happened, it goes on by itself.
        const from = fleet.newestVersion;
        for (let k = 0; k < 6000 && fleet.newestVersion < from + 3; k++) fleet.step();
        expect(fleet.newestVersion).toBeGreaterThanOrEqual(from + 3);
        fleet.drain();
        const { books, learner } = fleet;
        expect(books.trained.rollouts).toBe(learner.trained.length);
        expect(books.submitted.rollouts).toBe(fleet.everGranted.size);
        // All that is not done with is at the learner, which lacks a batch.
        expect(books.inFlight.rollouts).toBe(learner.held.length);
      }
    },
  );
});
