/**
 * Takes rollouts in and hands them out as batches.
 *
 * Always: received = disposed + held, in steps. Every rollout acknowledged is received; it is disposed of once it has
 * been trained on, or when it is dropped as a repeat or as stale. A batch handed out is held until `advance`: else the
 * gate, told in the meantime, would grant a batch too many. Only this module drops rollouts, and it counts each one.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { stepCount, type Rollout } from "../../core/types.js";
import type { TrainingState } from "../../core/weights/checkpoint.js";

/** orphaned = collected with a version that this learner, gone back to a checkpoint, does not have */
export type DropReason = "duplicate" | "stale" | "orphaned";

export interface IntakeOptions {
  readonly batchSteps: number;
  readonly maxPolicyLag: RunConfig["staleness"]["maxPolicyLag"];
  /** Not null: batch k is fragment k of each of these seats, in seat order. */
  readonly seats: number | null;
  readonly onDrop: (reason: DropReason, rollout: Rollout) => void;
}

export interface Batchful {
  readonly rollouts: readonly Rollout[];
  readonly steps: number;
  /** policyLag = version trained − oldest version in the row; mean over rollouts and maximum */
  readonly policyLagMean: number;
  readonly policyLagMax: number;
}

export function oldestVersion(rollout: Rollout): number {
  return rollout.columns.versionRunValues.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

/** What the books keep of a rollout, whose columns may be moved away. */
interface Entry {
  readonly seat: number;
  readonly sequence: number;
  readonly steps: number;
}

function entryOf({ seat, sequence, columns }: Rollout): Entry {
  return { seat, sequence, steps: stepCount(columns) };
}

function newestVersion(rollout: Rollout): number {
  return rollout.columns.versionRunValues.reduce((a, b) => Math.max(a, b), 0);
}

export class Intake {
  private held: Rollout[] = [];
  private inTraining: Entry[] = [];
  private waiting: (() => void) | null = null;
  private readonly lastSequence = new Map<number, number>();
  private readonly lastDisposed = new Map<number, number>();
  private version: number;
  private received: number;
  private disposed: number;

  constructor(
    private readonly options: IntakeOptions,
    resumed: Pick<TrainingState, "policyVersion" | "disposedSteps" | "seatSequences">,
  ) {
    this.version = resumed.policyVersion;
    this.received = resumed.disposedSteps;
    this.disposed = resumed.disposedSteps;
    for (const [seat, sequence] of resumed.seatSequences) {
      this.lastSequence.set(seat, sequence);
      this.lastDisposed.set(seat, sequence);
    }
  }

  get receivedSteps(): number {
    return this.received;
  }

  get disposedSteps(): number {
    return this.disposed;
  }

  /** Last fragment received of each seat, by seat. */
  get receivedSequences(): [number, number][] {
    return [...this.lastSequence].sort(([a], [b]) => a - b);
  }

  /** Last fragment disposed of, of each seat, by seat: what a checkpoint goes on from. */
  get disposedSequences(): [number, number][] {
    return [...this.lastDisposed].sort(([a], [b]) => a - b);
  }

  get heldSteps(): number {
    return this.received - this.disposed;
  }

  add(rollout: Rollout): void {
    this.received += stepCount(rollout.columns);
    if (newestVersion(rollout) > this.version) {
      this.drop("orphaned", rollout);
      return;
    }
    const last = this.lastSequence.get(rollout.seat) ?? 0;
    if (rollout.sequence <= last) {
      this.drop("duplicate", rollout);
      return;
    }
    this.lastSequence.set(rollout.seat, rollout.sequence);
    this.held.push(rollout);
    this.waiting?.();
  }

  /** The learner has trained what it was handed, up to `version`; to be called before that version is published. */
  advance(version: number): void {
    this.version = version;
    for (const entry of this.inTraining.splice(0)) this.dispose(entry);
  }

  /** The next batch for the version at hand, or null when `signal` aborts first. */
  async next(signal: AbortSignal): Promise<Batchful | null> {
    while (!signal.aborted) {
      this.held = this.held.filter((rollout) => {
        const stale = this.version - oldestVersion(rollout) > this.options.maxPolicyLag;
        if (stale) this.drop("stale", rollout);
        return !stale;
      });
      const taken = this.options.seats === null ? this.takeSteps() : this.takeSeats(this.options.seats);
      if (taken !== null) return this.batchful(taken);
      await this.change(signal);
    }
    return null;
  }

  private takeSteps(): Rollout[] | null {
    let steps = 0;
    const enough = this.held.findIndex(
      (rollout) => (steps += stepCount(rollout.columns)) >= this.options.batchSteps,
    );
    return enough < 0 ? null : this.held.splice(0, enough + 1);
  }

  private takeSeats(seats: number): Rollout[] | null {
    const taken: Rollout[] = [];
    for (let seat = 0; seat < seats; seat++) {
      const first = this.held.find((rollout) => rollout.seat === seat);
      if (first === undefined) return null;
      taken.push(first);
    }
    this.held = this.held.filter((rollout) => !taken.includes(rollout));
    return taken;
  }

  private batchful(rollouts: readonly Rollout[]): Batchful {
    const entries = rollouts.map(entryOf);
    this.inTraining.push(...entries);
    const lags = rollouts.map((rollout) => this.version - oldestVersion(rollout));
    return {
      rollouts,
      steps: entries.reduce((sum, { steps }) => sum + steps, 0),
      policyLagMean: lags.reduce((a, b) => a + b, 0) / lags.length,
      policyLagMax: Math.max(...lags),
    };
  }

  private drop(reason: DropReason, rollout: Rollout): void {
    // A repeat or an orphan says nothing about how far its seat is.
    if (reason === "stale") this.dispose(entryOf(rollout));
    else this.disposed += stepCount(rollout.columns);
    this.options.onDrop(reason, rollout);
  }

  private dispose({ seat, sequence, steps }: Entry): void {
    this.disposed += steps;
    this.lastDisposed.set(seat, Math.max(sequence, this.lastDisposed.get(seat) ?? 0));
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting = null;
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.waiting = wake;
      signal.addEventListener("abort", wake);
    });
  }
}
