/**
 * Ends a service in which nothing goes on any more, and says what it was waiting for: no wait is for ever, whatever
 * deadline was forgotten. Time in which the process itself stood still (stopped, or asleep with its machine) and time
 * in which the run is paused do not count.
 */
import { SkeinError } from "./errors.js";
import type { Logger } from "./telemetry/logger.js";

/** Looks within the time without progress. */
const CHECKS = 10;

export interface WatchdogOptions {
  /** Time without progress after which it gives up. */
  readonly seconds: number;
  readonly role: string;
  /** Seconds of a steady clock. */
  readonly now: () => number;
  readonly log: Logger;
  /** Asked at every look without progress: true = nothing is meant to go on. Rejecting = not known, so false. */
  readonly paused?: () => Promise<boolean>;
  /** What it waits for where `waiting` was told nothing. */
  readonly waits?: () => string;
}

interface Wait {
  readonly what: string;
  readonly on: string;
  readonly since: number;
}

export class Watchdog {
  /** Rejects STALLED, with every wait there is; never resolves. */
  readonly failed: Promise<never>;
  private readonly waits = new Set<Wait>();
  private readonly timer: NodeJS.Timeout;
  private readonly period: number;
  private lastLook: number;
  private idleSeconds = 0;
  private fail: (error: SkeinError) => void = () => undefined;

  constructor(private readonly options: WatchdogOptions) {
    this.failed = new Promise<never>((_, reject) => (this.fail = reject));
    this.failed.catch(() => undefined);
    this.period = options.seconds / CHECKS;
    this.lastLook = options.now();
    this.timer = setInterval(() => void this.look(), 1000 * this.period);
  }

  /** Something came one step further. */
  progress(): void {
    this.idleSeconds = 0;
  }

  /** `what` waits for `on` until the function that it returns is called: words for the message. */
  waiting(what: string, on: string): () => void {
    const wait: Wait = { what, on, since: this.options.now() };
    this.waits.add(wait);
    return () => void this.waits.delete(wait);
  }

  /** Called by its own timer. A look that comes late counts as two at most. */
  async look(): Promise<void> {
    const { now, seconds, paused } = this.options;
    const elapsed = now() - this.lastLook;
    this.lastLook += elapsed;
    this.idleSeconds += Math.min(elapsed, 2 * this.period);
    if (this.idleSeconds > this.period && paused !== undefined) {
      if (await paused().catch(() => false)) this.progress();
    }
    if (this.idleSeconds >= seconds) this.giveUp();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private giveUp(): void {
    const { seconds, role, now, log } = this.options;
    this.close();
    const otherwise = this.options.waits?.() ?? "nothing says what it waits for";
    const waits = [...this.waits].map(
      ({ what, on, since }) => `${what} waits for ${on} (since ${Math.round(now() - since)} s)`,
    );
    const told = waits.length === 0 ? otherwise : waits.join("; ");
    const error = new SkeinError("STALLED", `${role}: no progress for ${seconds} s: ${told}`);
    log.error({ waits: [...this.waits] }, error.message);
    this.fail(error);
  }
}
