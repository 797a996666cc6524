/**
 * What a seat does all day: fragments one after the other, or members of groups, several at once.
 *
 * Always: a seat delivers what it has collected only when the learner has taken what it delivered before, and begins
 * nothing while the unsettled rollouts fill their memory: so a slow learner holds the environments back.
 */
import { SkeinError, toSkeinError } from "../../core/errors.js";
import type { RunningRequest } from "../../core/transport/transport.js";
import type { RolloutRequest } from "../../core/types.js";
import { unlessAborted } from "../../core/waiting.js";
import type { Desk } from "./desk.js";
import type { Assignment, Ended } from "./messages.js";
import type { Seat } from "./seat.js";

/** Members in a row that an environment may fail in before it counts as broken. */
const FAILURES = 10;

/** What is needed of a seat. */
export type Player = Pick<Seat, "seat" | "instances" | "stepsOf" | "collect" | "play">;

export interface SeatWork {
  /** Until there is no more work, or the actor stops. What is then being collected has until `late` aborts. */
  run(late: AbortSignal): Promise<void>;
  /** What is being collected. */
  readonly running: readonly RunningRequest[];
}

export class FragmentWork implements SeatWork {
  private current: RolloutRequest | null = null;

  constructor(
    private readonly seat: Player,
    private readonly desk: Desk,
    private readonly onSwaps: (swaps: number) => void,
  ) {}

  get running(): readonly RunningRequest[] {
    return this.current === null ? [] : [{ requestId: this.current.requestId, steps: this.seat.stepsOf(0) }];
  }

  async run(late: AbortSignal): Promise<void> {
    const { desk } = this;
    for (;;) {
      await desk.room();
      desk.clock.enter("work");
      const requests = await desk.ask(() => 1);
      if (requests === null) return;
      for (const request of requests) await this.collect(request, late);
    }
  }

  private async collect(request: RolloutRequest, late: AbortSignal): Promise<void> {
    const { desk, seat } = this;
    desk.clock.enter("weights");
    const weights = await desk.weightsFor(request);
    if (weights === null) return;
    desk.clock.enter("collect");
    this.current = request;
    const answer = await unlessAborted(seat.collect(request, request.exact ? weights : null), late);
    this.current = null;
    if (answer === null) return;
    this.onSwaps(answer.swaps);
    await desk.allTaken();
    desk.deliver(answer.collected);
  }
}

export class MemberWork implements SeatWork {
  private readonly free: number[];
  /** By instance. */
  private readonly playing = new Map<number, RolloutRequest>();
  /** Granted, and not begun. */
  private granted: (Omit<Assignment, "secondsLeft"> & { readonly at: number })[] = [];
  private asking: Promise<void> | null = null;
  private askStage: "work" | "weights" = "work";
  private over = false;
  private error: SkeinError | null = null;
  private failures = 0;

  /** `now` gives seconds of a steady clock. */
  constructor(
    private readonly seat: Player,
    private readonly desk: Desk,
    private readonly onSwaps: (swaps: number) => void,
    private readonly now: () => number,
  ) {
    this.free = Array.from({ length: seat.instances }, (_, i) => i);
  }

  get running(): readonly RunningRequest[] {
    return [...this.playing].map(([i, { requestId }]) => ({ requestId, steps: this.seat.stepsOf(i) }));
  }

  /** Episodes may be long: what is being played when the actor stops goes back to the coordinator with the lease. */
  async run(late: AbortSignal): Promise<void> {
    const { desk, seat } = this;
    while (!this.over && !desk.stop.aborted) {
      if (this.free.length > 0 && desk.hasRoom) this.asking ??= this.ask();
      if (this.playing.size + this.granted.length === 0) {
        if (this.asking !== null) desk.clock.enter(this.askStage);
        await (this.asking ?? desk.room());
      } else {
        desk.clock.enter("collect");
        const answer = await unlessAborted(seat.play(this.begin()), late);
        if (answer === null) return;
        this.onSwaps(answer.swaps);
        if (answer.ended.length > 0) await this.handIn(answer.ended);
      }
      if (this.error !== null) throw this.error;
    }
  }

  /** Goes on while members are played. */
  private async ask(): Promise<void> {
    const { desk } = this;
    try {
      this.askStage = "work";
      const requests = await desk.ask(() => this.free.length);
      this.over = requests === null;
      const at = this.now();
      this.askStage = "weights";
      for (const request of requests ?? []) {
        if (this.playing.size + this.granted.length === 0) desk.clock.enter("weights");
        if ((await desk.weightsFor(request)) === null) break;
        this.granted.push({ instance: this.free.shift()!, request, at });
      }
    } catch (error) {
      this.error = toSkeinError(error);
    }
    this.asking = null;
  }

  private begin(): Assignment[] {
    return this.granted.splice(0).map(({ instance, request, at }) => {
      this.playing.set(instance, request);
      const { deadlineSeconds } = request.limits;
      const secondsLeft = deadlineSeconds === 0 ? Infinity : deadlineSeconds - (this.now() - at);
      return { instance, request, secondsLeft };
    });
  }

  private async handIn(ended: readonly Ended[]): Promise<void> {
    const { desk } = this;
    await desk.allTaken();
    for (const { instance, result } of ended) {
      this.playing.delete(instance);
      this.free.push(instance);
      if ("columns" in result) {
        this.failures = 0;
        desk.deliver(result);
      } else {
        desk.handBack(result);
        if (result.reason === "environment") this.failures++;
        if (this.failures >= FAILURES) throw brokenEnvironment(result.message);
      }
    }
  }
}

function brokenEnvironment(message: string): SkeinError {
  return new SkeinError(
    "ENVIRONMENT_FAILED",
    `${FAILURES} episodes in a row failed, the last one so: ${message}`,
  );
}
