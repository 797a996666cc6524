/**
 * The watching side of weights: latest wins. At most one announcement waits to be taken; a newer one replaces it,
 * which is the only thing ever dropped. Versions only rise, also across reconnects and restarts of the coordinator:
 * after a break the watch resumes above the last version seen.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import { watchRequest, weightsAnnouncement } from "./messages.js";
import { Backoff, unavailable } from "./retry.js";
import type { TransportOptions, WatchRequest, WeightsAnnouncement } from "./transport.js";
import type { LinkBroken, Wire, WireStream } from "./wire.js";

export class WeightsWatch {
  private lastSeen: number;
  private stream: WireStream | null = null;
  private waiting: WeightsAnnouncement | null = null;
  private failure: SkeinError | null = null;
  /** The coordinator has said all: what waits is the last. */
  private ended = false;
  /** This side wants no more. */
  private finished = false;
  private wake: () => void = () => undefined;
  private readonly backoff = new Backoff();
  private retryTimer: NodeJS.Timeout | undefined;
  private giveUpTimer: NodeJS.Timeout | undefined;
  private lastTrouble = "no connection";

  constructor(
    private readonly wire: Wire,
    private readonly options: TransportOptions,
    private readonly request: WatchRequest,
  ) {
    this.lastSeen = request.afterVersion;
  }

  /** Ends when `signal` aborts or the coordinator ends the watch. Throws UNAVAILABLE after `reconnectSeconds` alone. */
  async *announcements(signal: AbortSignal): AsyncGenerator<WeightsAnnouncement, void, undefined> {
    const onAbort = (): void => this.finish();
    signal.addEventListener("abort", onAbort);
    try {
      this.startGivingUp();
      this.subscribe();
      while (!signal.aborted && !this.finished) {
        const announcement = this.waiting;
        if (announcement !== null) {
          this.waiting = null;
          yield announcement;
        } else if (this.failure !== null) {
          throw this.failure;
        } else if (this.ended) {
          return;
        } else {
          await new Promise<void>((resolve) => (this.wake = resolve));
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.stop();
    }
  }

  /** Ends the watch from outside. */
  finish(): void {
    this.finished = true;
    this.stop();
    this.wake();
  }

  private subscribe(): void {
    const stream = this.wire.open("WatchWeights", {
      onOpen: () => {
        clearTimeout(this.giveUpTimer);
        this.giveUpTimer = undefined;
        this.backoff.reset();
      },
      onMessage: (bytes) => {
        try {
          this.offer(weightsAnnouncement.decode(bytes));
        } catch (error) {
          this.fail(toSkeinError(error));
        }
      },
      onDrain: () => undefined,
      onEnd: (error) => this.onEnd(error),
    });
    this.stream = stream;
    stream.write(watchRequest.encode({ ...this.request, afterVersion: this.lastSeen }));
    stream.end();
  }

  private offer(announcement: WeightsAnnouncement): void {
    if (announcement.version <= this.lastSeen) return;
    this.lastSeen = announcement.version;
    this.waiting = announcement;
    this.wake();
  }

  private onEnd(error: LinkBroken | SkeinError | null): void {
    this.stream = null;
    if (error === null) {
      this.ended = true;
      this.stop();
      this.wake();
    } else if (error instanceof SkeinError) {
      this.fail(error);
    } else {
      this.lastTrouble = error.message;
      this.startGivingUp();
      this.retryTimer = setTimeout(() => this.subscribe(), this.backoff.next());
    }
  }

  /** Starts the clock of a silence, unless it runs already. */
  private startGivingUp(): void {
    const limit = 1000 * this.options.reconnectSeconds;
    this.giveUpTimer ??= setTimeout(() => {
      this.fail(unavailable(this.wire.address, limit, this.lastTrouble));
    }, limit);
  }

  private fail(error: SkeinError): void {
    this.failure = error;
    this.stop();
    this.wake();
  }

  private stop(): void {
    clearTimeout(this.retryTimer);
    clearTimeout(this.giveUpTimer);
    this.stream?.cancel();
    this.stream = null;
  }
}
