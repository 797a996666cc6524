import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { WorkGate, type LearnerCounts, type WorkGateOptions } from "../../services/coordinator/work-gate.js";
import { Fleet, type FleetOptions } from "./fleet.js";
import { NOTHING_YET } from "./fixture.js";

const OPTIONS: WorkGateOptions = { batchSteps: 8, fragmentSteps: 4, maxPolicyLag: 1, deterministic: false };

function started(options: Partial<WorkGateOptions> = {}, version = 0, counts = NOTHING_YET): WorkGate {
  const gate = new WorkGate({ ...OPTIONS, ...options });
  gate.start(version, counts);
  return gate;
}

function counts(
  receivedSteps: number,
  disposedSteps: number,
  ...seatSequences: [number, number][]
): LearnerCounts {
  return { receivedSteps, disposedSteps, seatSequences };
}

/** Every combination worth a fleet: fragments below, at and above a batch, synchronous to far ahead. */
function combinations(deterministic: boolean): FleetOptions[] {
  const all: FleetOptions[] = [];
  for (const [batchSteps, fragmentSteps] of [
    [8, 4],
    [9, 4],
    [4, 4],
    [3, 7],
    [1, 50],
    [100, 30],
    [7, 1],
  ] as const) {
    for (const maxPolicyLag of deterministic ? [1] : [0, 1, 3]) {
      for (const seats of [1, 2, 5]) {
        const batch = deterministic ? seats * fragmentSteps : batchSteps;
        all.push({
          batchSteps: batch,
          fragmentSteps,
          maxPolicyLag,
          seats,
          deterministic,
          reportsBetween: false,
        });
      }
    }
  }
  return all;
}

const nameOf = ({ batchSteps, fragmentSteps, maxPolicyLag, seats }: FleetOptions): string =>
  `batch ${batchSteps}, fragment ${fragmentSteps}, lag ${maxPolicyLag}, ${seats} seats`;

describe("a work gate", () => {
  it("grants nothing before a learner starts and after it stops", () => {
    const gate = new WorkGate(OPTIONS);
    expect(gate.grant(0, "a")).toBeNull();
    gate.start(0, NOTHING_YET);
    expect(gate.grant(0, "a")).not.toBeNull();
    gate.stop();
    expect(gate.grant(0, "a")).toBeNull();
  });

  it("numbers each seat's fragments from 1 and gives every request an id of its own", () => {
    const gate = started();
    const requests = [gate.grant(0, "a"), gate.grant(3, "b"), gate.grant(0, "a"), gate.grant(3, "b")];
    expect(requests.map((request) => [request?.seat, request?.sequence])).toEqual([
      [0, 1],
      [3, 1],
      [0, 2],
      [3, 2],
    ]);
    expect(new Set(requests.map((request) => request?.requestId)).size).toBe(4);
  });

  it("grants (maxPolicyLag + 1) batches of whole fragments and no more until the learner reports", () => {
    // A batch of 9 steps is sealed by the third fragment of 4, so two batches are six fragments.
    const gate = started({ batchSteps: 9 });
    for (let k = 0; k < 6; k++) expect(gate.grant(k, "a")).not.toBeNull();
    expect(gate.grant(6, "a")).toBeNull();
    expect(gate.pendingSteps).toBe(24);
    // The learner has taken four fragments and trained on three of them: room for three.
    gate.reconcile(1, counts(16, 12, [0, 1], [1, 1], [2, 1], [3, 1]));
    expect(gate.pendingSteps).toBe(4 + 8);
    for (let k = 0; k < 3; k++) expect(gate.grant(k, "a")?.policyVersion).toBe(1);
    expect(gate.grant(3, "a")).toBeNull();
  });

  it("counts a fragment once, whether it is granted, delivered or held", () => {
    const gate = started();
    const request = gate.grant(0, "a")!;
    expect(gate.pendingSteps).toBe(4);
    gate.complete(request.requestId, "a");
    expect(gate.pendingSteps).toBe(4);
    gate.reconcile(0, counts(4, 0, [0, 1]));
    expect(gate.pendingSteps).toBe(4);
    expect(gate.runningSteps).toBe(0);
    gate.reconcile(1, counts(4, 4, [0, 1]));
    expect(gate.pendingSteps).toBe(0);
  });

  it("issues voided work again with the same sequence, and only what was not delivered", () => {
    const gate = started({ maxPolicyLag: 9 });
    const delivered = gate.grant(0, "a")!;
    const lost = gate.grant(0, "a")!;
    gate.grant(1, "b");
    gate.complete(delivered.requestId, "a");
    expect(gate.void("a")).toBe(1);
    expect(gate.void("a")).toBe(0);
    expect(gate.grant(0, "c")?.sequence).toBe(lost.sequence);
    expect(gate.grant(1, "b")?.sequence).toBe(2);
  });

  it("does not issue voided work again that the learner turns out to have", () => {
    const gate = started();
    gate.grant(0, "a");
    gate.void("a");
    gate.reconcile(0, counts(4, 0, [0, 1]));
    expect(gate.grant(0, "b")?.sequence).toBe(2);
  });

  it("takes no notice of a completion under another lease, whose ids are another coordinator's", () => {
    const gate = started();
    const { requestId } = gate.grant(0, "a")!;
    gate.complete(requestId, "b");
    expect(gate.void("a")).toBe(1);
  });

  it("goes on from the counts of a learner that starts anew, and forgets every earlier grant", () => {
    const gate = started();
    for (let k = 0; k < 4; k++) gate.grant(k, "a");
    expect(gate.grant(4, "a")).toBeNull();
    // What an earlier learner had received counts no more: this one may have gone back.
    gate.reconcile(9, counts(200, 196, [0, 9], [1, 1]));
    gate.start(7, counts(100, 96, [0, 5], [1, 3]));
    expect(gate.pendingSteps).toBe(4);
    const again = [0, 1, 2].map((seat) => gate.grant(seat, "b"));
    expect(again.map((request) => request?.sequence)).toEqual([6, 4, 1]);
    expect(again.map((request) => request?.policyVersion)).toEqual([7, 7, 7]);
    expect(gate.grant(3, "b")).toBeNull();
  });

  it("never lets a version fall, even if reports overtake one another", () => {
    const gate = started();
    gate.reconcile(3, counts(8, 8, [0, 2]));
    gate.reconcile(2, counts(4, 4, [0, 1]));
    const request = gate.grant(0, "a");
    expect(request).toMatchObject({ policyVersion: 3, sequence: 3 });
  });
});

describe("a work gate with an honest learner", () => {
  it.each(combinations(false).map((options) => [nameOf(options), options] as const))(
    "never has more than maxPolicyLag batches ahead of a grant, whenever the learner reports, and training never stops (%s)",
    async (_name, options) => {
      for (const reportsBetween of [false, true]) {
        const fleet = new Fleet({ ...options, reportsBetween }, new Random(17));
        await fleet.runTo(40);
        const ahead = fleet.grants.map((grant) => grant.batchesAhead);
        expect(Math.max(...ahead)).toBeLessThanOrEqual(options.maxPolicyLag);
        expect(fleet.batches.every((batch) => batch.policyLagMax <= options.maxPolicyLag)).toBe(true);
        expect(fleet.intake.receivedSteps).toBe(fleet.intake.disposedSteps + fleet.intake.heldSteps);
      }
    },
  );

  it("goes as far ahead as it may", async () => {
    const options = { batchSteps: 8, fragmentSteps: 4, maxPolicyLag: 2, seats: 9, deterministic: false };
    const fleet = new Fleet({ ...options, reportsBetween: false }, new Random(5));
    await fleet.runTo(40);
    expect(Math.max(...fleet.grants.map((grant) => grant.batchesAhead))).toBe(2);
  });

  it("keeps as many seats busy as the lag allows where one fragment is more than a batch", () => {
    // A batch takes one whole fragment; with lag 1 one may be trained while another is collected.
    const gate = started({ batchSteps: 512, fragmentSteps: 1024 });
    expect([gate.grant(0, "a"), gate.grant(1, "b")].map((request) => request?.sequence)).toEqual([1, 1]);
    expect(gate.grant(2, "c")).toBeNull();
  });

  it("drops nothing as stale where seats deliver in the order of their grants", async () => {
    const options = {
      batchSteps: 9,
      fragmentSteps: 4,
      maxPolicyLag: 2,
      seats: 1,
      deterministic: false,
      reportsBetween: false,
    };
    const fleet = new Fleet(options, new Random(3));
    await fleet.runTo(60);
    expect(fleet.drops).toEqual([]);
  });
});

describe("a work gate when things go wrong", () => {
  const faults = {
    "actors die at any moment": (fleet: Fleet, random: Random, seats: number) => {
      if (random.uniform() < 0.2) fleet.kill(random.integer(seats));
    },
    "the learner's lease ends while everything is on its way": (fleet: Fleet, random: Random) => {
      if (random.uniform() < 0.05) fleet.learnerRegistersAgain();
    },
    "the learner goes on from a checkpoint": (fleet: Fleet, random: Random) => {
      if (random.uniform() < 0.02) fleet.learnerRestarts(3);
    },
    "the coordinator starts anew": (fleet: Fleet, random: Random) => {
      if (random.uniform() < 0.05) fleet.coordinatorRestarts();
    },
    "all of it at once": (fleet: Fleet, random: Random, seats: number) => {
      if (random.uniform() < 0.1) fleet.kill(random.integer(seats));
      if (random.uniform() < 0.02) fleet.learnerRegistersAgain();
      if (random.uniform() < 0.01) fleet.learnerRestarts(3);
      if (random.uniform() < 0.02) fleet.coordinatorRestarts();
    },
  };

  it.each(Object.entries(faults))(
    "training goes on, every batch is fresh and the books balance: %s",
    async (_n, fault) => {
      for (const combination of combinations(false)) {
        const options = { ...combination, reportsBetween: true };
        for (const seed of [1, 2, 3]) {
          const random = new Random(seed);
          const fleet = new Fleet(options, random);
          await fleet.runTo(12, () => fault(fleet, random, options.seats));
          const { intake, batches } = fleet;
          expect(intake.receivedSteps).toBe(intake.disposedSteps + intake.heldSteps);
          expect(batches.every((batch) => batch.policyLagMax <= options.maxPolicyLag)).toBe(true);
        }
      }
    },
  );

  it("trains on no fragment twice", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const options = {
        batchSteps: 9,
        fragmentSteps: 4,
        maxPolicyLag: 1,
        seats: 3,
        deterministic: false,
        reportsBetween: true,
      };
      const fleet = new Fleet(options, random);
      await fleet.runTo(20, () => {
        if (random.uniform() < 0.2) fleet.kill(random.integer(3));
        if (random.uniform() < 0.05) fleet.coordinatorRestarts();
      });
      const trained = fleet.batches.flatMap((batch) => batch.rollouts.map((rollout) => rollout.rolloutId));
      expect(new Set(trained).size).toBe(trained.length);
    }
  });
});

describe("a deterministic work gate", () => {
  it.each(combinations(true).map((options) => [nameOf(options), options] as const))(
    "asks for fragment k with version k − 2 exactly and makes batch k of every seat's fragment k (%s)",
    async (_name, options) => {
      const fleets = [new Fleet(options, new Random(1)), new Fleet(options, new Random(2))];
      for (const fleet of fleets) {
        await fleet.runTo(15);
        for (const { request } of fleet.grants) {
          expect(request.exact).toBe(true);
          expect(request.policyVersion).toBe(Math.max(0, request.sequence - 2));
        }
        fleet.batches.forEach((batch, k) => {
          expect(batch.rollouts.map(({ seat, sequence }) => [seat, sequence])).toEqual(
            Array.from({ length: options.seats }, (_, seat) => [seat, k + 1]),
          );
          expect(batch.policyLagMax).toBe(k === 0 ? 0 : 1);
        });
      }
      // Whatever the order of events was, the batches are the same.
      const [a, b] = fleets.map((fleet) => fleet.batches.slice(0, 15));
      expect(a).toEqual(b);
    },
  );

  it("goes on where actors die: their fragments are issued again with the same version", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const options = {
        batchSteps: 12,
        fragmentSteps: 4,
        maxPolicyLag: 1,
        seats: 3,
        deterministic: true,
        reportsBetween: false,
      };
      const fleet = new Fleet(options, random);
      await fleet.runTo(15, () => {
        if (random.uniform() < 0.2) fleet.kill(random.integer(3));
      });
      fleet.batches.forEach((batch, k) => {
        expect(batch.rollouts.map(({ sequence }) => sequence)).toEqual([k + 1, k + 1, k + 1]);
      });
    }
  });

  it("begins above the version of a learner that resumes, for seats old and new", () => {
    const gate = started({ deterministic: true }, 10, counts(80, 80, [0, 10]));
    // Only the version resumed from exists now, so both of the next fragments use it.
    expect(gate.grant(0, "a")).toMatchObject({ sequence: 11, policyVersion: 10 });
    expect(gate.grant(1, "b")).toMatchObject({ sequence: 11, policyVersion: 10 });
    expect(gate.grant(0, "a")).toMatchObject({ sequence: 12, policyVersion: 10 });
    expect(gate.grant(0, "a")).toBeNull();
    gate.reconcile(11, counts(88, 88, [0, 11], [1, 11]));
    expect(gate.grant(0, "a")).toMatchObject({ sequence: 13, policyVersion: 11 });
  });
});
