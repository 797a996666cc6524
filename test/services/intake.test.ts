import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { buffersOf } from "../../core/threads/buffers.js";
import { stepCount, type Rollout } from "../../core/types.js";
import { Intake, type DropReason, type IntakeOptions } from "../../services/learner/intake.js";
import { smallRollout } from "./fixture.js";

const FRESH = { policyVersion: 0, disposedSteps: 0, seatSequences: [] } as const;

interface Kept {
  readonly intake: Intake;
  readonly drops: (readonly [DropReason, string])[];
}

function intakeOf(
  options: Partial<IntakeOptions> = {},
  resumed: ConstructorParameters<typeof Intake>[1] = FRESH,
): Kept {
  const drops: (readonly [DropReason, string])[] = [];
  const onDrop = (reason: DropReason, { rolloutId }: Rollout): void => void drops.push([reason, rolloutId]);
  const defaults = { batchSteps: 8, maxPolicyLag: 1, seats: null, onDrop };
  return { intake: new Intake({ ...defaults, ...options }, resumed), drops };
}

const never = new AbortController().signal;
const ids = (batch: { readonly rollouts: readonly Rollout[] } | null): string[] =>
  batch!.rollouts.map((rollout) => rollout.rolloutId);

describe("an intake", () => {
  it("seals a batch at batchSteps, the last rollout taken whole, in the order of arrival", async () => {
    const { intake } = intakeOf();
    intake.add(smallRollout({ seat: 1, steps: 5 }));
    intake.add(smallRollout({ seat: 0, steps: 2 }));
    intake.add(smallRollout({ seat: 2, steps: 4 }));
    intake.add(smallRollout({ seat: 3, steps: 8 }));
    const batch = await intake.next(never);
    expect(ids(batch)).toEqual(["run/1/1", "run/0/1", "run/2/1"]);
    expect(batch!.steps).toBe(11);
    expect(ids(await intake.next(never))).toEqual(["run/3/1"]);
  });

  it("holds a batch until it has been trained on, even where its arrays have been moved away", async () => {
    const { intake } = intakeOf();
    intake.add(smallRollout({ seat: 0, steps: 8 }));
    intake.add(smallRollout({ seat: 1, steps: 5 }));
    const batch = await intake.next(never);
    structuredClone(batch!.rollouts, { transfer: buffersOf(batch!.rollouts) });
    expect([intake.heldSteps, intake.disposedSteps]).toEqual([13, 0]);
    expect(intake.disposedSequences).toEqual([]);
    intake.advance(1);
    expect([intake.heldSteps, intake.disposedSteps]).toEqual([5, 8]);
    expect(intake.disposedSequences).toEqual([[0, 1]]);
  });

  it("makes the learner wait until a batch is there", async () => {
    const { intake } = intakeOf();
    const next = intake.next(never);
    intake.add(smallRollout({ seat: 0 }));
    intake.add(smallRollout({ seat: 1 }));
    expect(ids(await next)).toEqual(["run/0/1", "run/1/1"]);
  });

  it("gives null once told to stop, before or while it waits", async () => {
    const { intake } = intakeOf();
    const stop = new AbortController();
    const next = intake.next(stop.signal);
    stop.abort();
    expect(await next).toBeNull();
    intake.add(smallRollout({ steps: 8 }));
    expect(await intake.next(stop.signal)).toBeNull();
    expect(intake.heldSteps).toBe(8);
  });

  it("drops repeats, also of what a resumed learner had disposed of", async () => {
    const { intake, drops } = intakeOf({}, { ...FRESH, disposedSteps: 40, seatSequences: [[0, 5]] });
    intake.add(smallRollout({ seat: 0, sequence: 5 }));
    intake.add(smallRollout({ seat: 0, sequence: 6 }));
    intake.add(smallRollout({ seat: 0, sequence: 6 }));
    intake.add(smallRollout({ seat: 0, sequence: 4 }));
    intake.add(smallRollout({ seat: 1, sequence: 1 }));
    expect(ids(await intake.next(never))).toEqual(["run/0/6", "run/1/1"]);
    intake.advance(1);
    expect(drops).toEqual([
      ["duplicate", "run/0/5"],
      ["duplicate", "run/0/6"],
      ["duplicate", "run/0/4"],
    ]);
    expect(intake.receivedSteps).toBe(40 + 5 * 4);
    expect(intake.disposedSteps).toBe(40 + 5 * 4);
  });

  it("judges staleness by a rollout's oldest version and the version it would train", async () => {
    const { intake, drops } = intakeOf({}, { ...FRESH, policyVersion: 5 });
    intake.add(smallRollout({ seat: 0, versions: [3, 4, 5] }));
    intake.add(smallRollout({ seat: 1, versions: [4, 5] }));
    intake.add(smallRollout({ seat: 2, versions: [5] }));
    const batch = await intake.next(never);
    expect(ids(batch)).toEqual(["run/1/1", "run/2/1"]);
    expect(batch).toMatchObject({ policyLagMean: 0.5, policyLagMax: 1 });
    expect(drops).toEqual([["stale", "run/0/1"]]);
  });

  it("drops what has become stale while it was held", async () => {
    const { intake, drops } = intakeOf();
    intake.add(smallRollout({ seat: 0 }));
    const next = intake.next(never);
    intake.advance(2);
    intake.add(smallRollout({ seat: 1, versions: [2] }));
    intake.add(smallRollout({ seat: 2, versions: [1] }));
    expect(ids(await next)).toEqual(["run/1/1", "run/2/1"]);
    expect(drops).toEqual([["stale", "run/0/1"]]);
  });

  it("drops what was collected with a version that does not exist, and lets its sequence be used again", async () => {
    const { intake, drops } = intakeOf({}, { ...FRESH, policyVersion: 4 });
    intake.add(smallRollout({ seat: 0, sequence: 9, versions: [4, 5] }));
    expect(drops).toEqual([["orphaned", "run/0/9"]]);
    expect(intake.receivedSequences).toEqual([]);
    intake.add(smallRollout({ seat: 0, sequence: 9, versions: [4], steps: 8 }));
    expect(ids(await intake.next(never))).toEqual(["run/0/9"]);
    intake.advance(5);
    intake.add(smallRollout({ seat: 0, sequence: 10, versions: [5], steps: 8 }));
    expect(ids(await intake.next(never))).toEqual(["run/0/10"]);
  });

  it("says how far each seat is: received for the coordinator, disposed for a checkpoint", async () => {
    const { intake } = intakeOf();
    for (const [seat, sequence] of [
      [2, 1],
      [0, 1],
      [0, 2],
      [1, 1],
    ] as const)
      intake.add(smallRollout({ seat, sequence }));
    await intake.next(never);
    intake.advance(1);
    expect(intake.receivedSequences).toEqual([
      [0, 2],
      [1, 1],
      [2, 1],
    ]);
    expect(intake.disposedSequences).toEqual([
      [0, 1],
      [2, 1],
    ]);
  });

  it("with seats, makes batch k of fragment k of each seat, in seat order, whatever the order of arrival", async () => {
    const random = new Random(4);
    for (let draw = 0; draw < 30; draw++) {
      const { intake } = intakeOf({ seats: 3, batchSteps: 12 });
      const sent = [0, 0, 0];
      for (let k = 0; k < 15; k++) {
        const open = [0, 1, 2].filter((seat) => sent[seat]! < 5);
        const seat = open[random.integer(open.length)]!;
        intake.add(smallRollout({ seat, sequence: ++sent[seat]! }));
      }
      for (let k = 1; k <= 5; k++) {
        expect(ids(await intake.next(never))).toEqual([`run/0/${k}`, `run/1/${k}`, `run/2/${k}`]);
        intake.advance(0);
      }
      expect(intake.heldSteps).toBe(0);
    }
  });

  it("always has received = disposed + held, and hands out or drops everything exactly once", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = new Random(seed);
      const { intake, drops } = intakeOf({
        maxPolicyLag: random.integer(3),
        batchSteps: 1 + random.integer(20),
      });
      const trained: string[] = [];
      const added: Rollout[] = [];
      const accounted = (): number => trained.length + drops.length;
      let version = 0;
      for (let move = 0; move < 200; move++) {
        if (random.uniform() < 0.7) {
          const versions = [
            Math.max(0, version - random.integer(4)),
            version + (random.uniform() < 0.1 ? 1 : 0),
          ];
          const sequence = 1 + random.integer(1 + added.length);
          const rollout = smallRollout({
            seat: random.integer(3),
            sequence,
            steps: 2 + random.integer(6),
            versions,
          });
          added.push(rollout);
          intake.add(rollout);
        } else {
          const stop = new AbortController();
          const next = intake.next(stop.signal);
          stop.abort();
          const batch = await next;
          if (batch !== null) {
            trained.push(...ids(batch));
            intake.advance(++version);
          }
        }
        const received = added.reduce((sum, { columns }) => sum + stepCount(columns), 0);
        expect(intake.receivedSteps).toBe(received);
        expect(intake.receivedSteps).toBe(intake.disposedSteps + intake.heldSteps);
        expect(intake.heldSteps === 0).toBe(accounted() === added.length);
      }
      expect(new Set(trained).size).toBe(trained.length);
      expect(trained.length).toBeGreaterThan(0);
    }
  });
});
