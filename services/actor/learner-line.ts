/**
 * The line to the learner. Always: what was sent is kept until the learner has settled it, and is delivered again, in
 * order, to wherever the learner is then; a rollout is dropped only where the learner refused it, which is logged and
 * counted.
 */
import { SkeinError, toSkeinError } from "../../core/errors.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { RolloutSender } from "../../core/transport/transport.js";
import type { Rollout } from "../../core/types.js";

export interface LearnerLineOptions {
  readonly connect: (address: string) => RolloutSender;
  /** Size of unsettled rollouts at which there is room for no more. */
  readonly capacityBytes: number;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
  /** Called whenever a rollout is settled. */
  readonly onSettled: () => void;
}

export class LearnerLine {
  /** Rejects when a rollout could not be delivered, for another reason than a refusal; never resolves. */
  readonly failed: Promise<never>;
  /** Where the learner is; empty = not told yet. */
  address = "";
  private sender: RolloutSender | null = null;
  private unsettled = 0;
  private untaken = 0;
  private bytes = 0;
  private closed = false;
  private waiting: (() => void)[] = [];
  private fail: (error: SkeinError) => void = () => undefined;

  constructor(private readonly options: LearnerLineOptions) {
    this.failed = new Promise<never>((_, reject) => (this.fail = reject));
    this.failed.catch(() => undefined);
    options.metrics.unsettledCapacityBytes.set(options.capacityBytes);
  }

  /** To where the coordinator says the learner is now. Empty = not known: stays where it is. */
  moveTo(address: string): void {
    if (address === "" || this.closed || this.address === address) return;
    this.address = address;
    if (this.sender === null) {
      this.sender = this.options.connect(address);
      return;
    }
    this.options.metrics.resentRollouts.inc(this.unsettled);
    this.options.log.info({ address, rollouts: this.unsettled }, "the learner has moved: sending again");
    this.sender.moveTo(address);
  }

  /** What is sent may exceed the capacity by what was begun while there was room. */
  get hasRoom(): boolean {
    return this.bytes < this.options.capacityBytes;
  }

  async room(): Promise<void> {
    if (this.hasRoom) return;
    const { capacityBytes, log } = this.options;
    log.warn(
      { rollouts: this.unsettled, bytes: this.bytes, capacityBytes },
      "waiting for rollouts to settle",
    );
    while (!this.hasRoom) await this.change();
  }

  /** Resolves when nothing is unsettled. */
  async flushed(): Promise<void> {
    while (this.unsettled > 0) await this.change();
  }

  /** Resolves when the learner has taken the rollout, or will never. */
  async send(rollout: Rollout): Promise<void> {
    if (this.sender === null) {
      throw new SkeinError("INTERNAL", `rollout ${rollout.rolloutId}: work came without a learner's address`);
    }
    const { metrics, now, log } = this.options;
    const from = now();
    const size = sizeOf(rollout.columns);
    metrics.rolloutBytes.inc(size);
    this.count(1, 1, size);
    const { taken, settled } = this.sender.send(rollout);
    settled.then(
      () => this.options.onSettled(),
      (error: unknown) => this.heed(rollout, toSkeinError(error)),
    );
    const settle = (): void => this.count(-1, 0, -size);
    settled.then(settle, settle);
    await taken.then(
      () => metrics.sendWaitSeconds.observe(now() - from),
      () => undefined,
    );
    this.count(0, -1, 0);
    log.debug({ rollout: rollout.rolloutId, seconds: now() - from }, "taken");
  }

  /** At once; who wants rollouts settled waits for `flushed`. */
  close(): void {
    this.closed = true;
    this.sender?.abandon();
  }

  private heed({ rolloutId }: Rollout, error: SkeinError): void {
    if (this.closed) return;
    if (error.code !== "REFUSED") return this.fail(error);
    this.options.metrics.refusedRollouts.inc();
    this.options.log.error({ rollout: rolloutId, reason: error.message }, "the learner refused a rollout");
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private count(unsettled: number, untaken: number, bytes: number): void {
    const { metrics } = this.options;
    metrics.unsettledRollouts.set((this.unsettled += unsettled));
    metrics.untakenRollouts.set((this.untaken += untaken));
    metrics.unsettledBytes.set((this.bytes += bytes));
    for (const wake of this.waiting.splice(0)) wake();
  }
}

/** Bytes of all typed arrays within. */
function sizeOf(value: object): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return Object.values(value).reduce(
    (sum: number, part: unknown) => sum + (typeof part === "object" && part !== null ? sizeOf(part) : 0),
    0,
  );
}
