/**
 * A whole fleet in miniature: the real work gate and the real intake, between them seats that ask, collect and
 * deliver in an order drawn at random. Faults are methods. It knows how many steps really are ahead of a fragment,
 * which the gate can only infer from reports.
 */
import type { Random } from "../../core/random.js";
import type { Rollout, RolloutRequest } from "../../core/types.js";
import { WorkGate, type WorkGateOptions } from "../../services/coordinator/work-gate.js";
import type { TrainingState } from "../../core/weights/checkpoint.js";
import { Intake, type Batchful, type DropReason } from "../../services/learner/intake.js";
import { countsOf, NOTHING_YET, smallRollout } from "./fixture.js";

export interface FleetOptions extends WorkGateOptions {
  readonly seats: number;
  /** The learner tells its counts not only after a batch, but at any time, also while it trains. */
  readonly reportsBetween: boolean;
}

/** What a checkpoint tells a learner of its books. */
type LearnerState = Pick<TrainingState, "policyVersion" | "disposedSteps" | "seatSequences">;

interface Seat {
  readonly seat: number;
  lease: string;
  collecting: { readonly request: RolloutRequest; readonly version: number } | null;
  /** Collected and not delivered, oldest first. */
  sending: { readonly requestId: number; readonly rollout: Rollout }[];
  /** Delivered requests the coordinator has not been told of. */
  untold: number[];
}

export interface Grant {
  readonly request: RolloutRequest;
  /** Whole batches ahead of it when it was granted: in training, held, on their way and being collected. */
  readonly batchesAhead: number;
}

export class Fleet {
  version = 0;
  readonly grants: Grant[] = [];
  readonly batches: Batchful[] = [];
  readonly drops: { readonly reason: DropReason; readonly rollout: Rollout }[] = [];
  gate: WorkGate;
  intake: Intake;
  private seats: Seat[];
  private leases = 0;
  /** By version. */
  private readonly checkpoints: LearnerState[] = [{ policyVersion: 0, ...NOTHING_YET }];
  private next: Promise<void> | null = null;
  private training: Batchful | null = null;
  private readonly batchStepsWhole: number;

  constructor(
    private readonly options: FleetOptions,
    private readonly random: Random,
  ) {
    const { batchSteps, fragmentSteps, seats } = options;
    this.batchStepsWhole = Math.ceil(batchSteps / fragmentSteps) * fragmentSteps;
    this.gate = new WorkGate(options);
    this.intake = this.newIntake(this.checkpoints[0]!);
    this.seats = Array.from({ length: seats }, (_, seat) => this.newSeat(seat));
    this.gate.start(0, NOTHING_YET);
  }

  /** Until `version`; throws where nothing can move any more. `fault` runs before each move. */
  async runTo(version: number, fault: () => void = () => undefined): Promise<void> {
    while (this.version < version) {
      fault();
      if (!(await this.move())) throw new Error(`stuck: ${JSON.stringify(this.describe())}`);
    }
  }

  /** An actor dies: what it was sending arrives or is lost, what it was collecting is lost; another takes its seat. */
  kill(index: number): void {
    const seat = this.seats[index]!;
    const arriving = this.random.integer(seat.sending.length + 1);
    for (const { rollout } of seat.sending.slice(0, arriving)) this.intake.add(rollout);
    this.gate.void(seat.lease);
    this.seats[index] = this.newSeat(index);
  }

  /** The learner's lease ends and it registers again; everything on its way still arrives. */
  learnerRegistersAgain(): void {
    this.gate.stop();
    this.gate.start(this.version, countsOf(this.intake));
  }

  /** A new coordinator: every lease is new, the learner tells its counts. */
  coordinatorRestarts(): void {
    this.gate = new WorkGate(this.options);
    for (const seat of this.seats) seat.lease = this.newLease();
    this.gate.start(this.version, countsOf(this.intake));
  }

  /**
   * The learner dies and goes on from a checkpoint up to `back` versions old. Actors live on under new leases where
   * versions are gone; what they send arrives at the new learner or, where it has moved, nowhere.
   */
  learnerRestarts(back: number): void {
    const version = Math.max(0, this.version - this.random.integer(back + 1));
    const moved = this.random.uniform() < 0.5;
    for (const seat of this.seats) {
      if (version < this.version) {
        this.gate.void(seat.lease);
        seat.lease = this.newLease();
      }
      if (moved) seat.sending = [];
    }
    this.version = version;
    this.intake = this.newIntake(this.checkpoints[version]!);
    this.next = null;
    this.training = null;
    this.gate.stop();
    this.gate.start(version, countsOf(this.intake));
  }

  /** One thing that can happen happens; false = nothing can. */
  private async move(): Promise<boolean> {
    await this.look();
    const moves: (() => boolean)[] = [];
    for (const seat of this.seats) {
      if (seat.sending.length > 0) moves.push(() => this.deliver(seat));
      // A seat sends one fragment at a time, while it collects the next.
      if (seat.collecting !== null && seat.sending.length === 0) moves.push(() => this.collect(seat));
      if (seat.collecting === null) moves.push(() => this.ask(seat));
    }
    if (this.training !== null) moves.push(() => this.train());
    if (this.options.reportsBetween) moves.push(() => this.report());
    const order = Uint32Array.from(moves, (_, i) => i);
    this.random.shuffle(order);
    for (const k of order) if (moves[k]!()) return true;
    return false;
  }

  private ask(seat: Seat): boolean {
    for (const requestId of seat.untold.splice(0)) this.gate.complete(requestId, seat.lease);
    const ahead = this.stepsAhead();
    const request = this.gate.grant(seat.seat, seat.lease);
    if (request === null) return false;
    this.grants.push({ request, batchesAhead: Math.floor(ahead / this.batchStepsWhole) });
    const newer = request.exact ? 0 : this.random.integer(this.version - request.policyVersion + 1);
    seat.collecting = { request, version: request.policyVersion + newer };
    return true;
  }

  private collect(seat: Seat): boolean {
    const { request, version } = seat.collecting!;
    const { sequence } = request;
    const steps = this.options.fragmentSteps;
    const rollout = smallRollout({ seat: seat.seat, sequence, steps, versions: [version] });
    seat.sending.push({ requestId: request.requestId, rollout });
    seat.collecting = null;
    return true;
  }

  private deliver(seat: Seat): boolean {
    const { requestId, rollout } = seat.sending.shift()!;
    this.intake.add(rollout);
    seat.untold.push(requestId);
    return true;
  }

  private train(): boolean {
    this.batches.push(this.training!);
    this.training = null;
    this.version++;
    this.intake.advance(this.version);
    const { disposedSteps, disposedSequences: seatSequences } = this.intake;
    this.checkpoints[this.version] = { policyVersion: this.version, disposedSteps, seatSequences };
    this.report();
    return true;
  }

  /** False where the gate knew it all. */
  private report(): boolean {
    const before = this.gate.pendingSteps;
    this.gate.reconcile(this.version, countsOf(this.intake));
    return this.gate.pendingSteps !== before;
  }

  /** Lets the learner look for its next batch. */
  private async look(): Promise<void> {
    if (this.training !== null) return;
    const { intake } = this;
    this.next ??= intake.next(new AbortController().signal).then((batch) => {
      if (intake !== this.intake) return;
      this.training = batch;
      this.next = null;
    });
    await new Promise(setImmediate);
  }

  private stepsAhead(): number {
    const onTheWay = this.seats.reduce(
      (sum, { collecting, sending }) => sum + sending.length + (collecting === null ? 0 : 1),
      0,
    );
    return this.intake.heldSteps + onTheWay * this.options.fragmentSteps;
  }

  private newIntake(from: LearnerState): Intake {
    const { batchSteps, maxPolicyLag, deterministic, seats } = this.options;
    const onDrop = (reason: DropReason, rollout: Rollout): void => void this.drops.push({ reason, rollout });
    const options = { batchSteps, maxPolicyLag, seats: deterministic ? seats : null, onDrop };
    return new Intake(options, from);
  }

  private newSeat(seat: number): Seat {
    return { seat, lease: this.newLease(), collecting: null, sending: [], untold: [] };
  }

  private newLease(): string {
    return `lease-${++this.leases}`;
  }

  private describe(): unknown {
    const { version, intake, gate } = this;
    return { version, held: intake.heldSteps, pending: gate.pendingSteps, seats: this.seats };
  }
}
