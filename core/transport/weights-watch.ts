/**
 * The watching side of weights: latest wins. At most one snapshot waits to be taken and at most one is being put
 * together; a newer one replaces the one that waits, which is the only thing ever dropped. Versions only rise, also
 * across reconnects and restarts of the coordinator: after a break the watch resumes above the last version seen.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import type { WeightsSnapshot } from "../types.js";
import { decodeWeights } from "./codec.js";
import { FrameAssembler } from "./frames.js";
import { watchRequest } from "./messages.js";
import { Backoff, unavailable } from "./retry.js";
import type { TransportOptions } from "./transport.js";
import type { LinkBroken, Wire, WireStream } from "./wire.js";

export class WeightsWatch {
  private stream: WireStream | null = null;
  private waiting: WeightsSnapshot | null = null;
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
    private lastSeen: number,
  ) {}

  /** Ends when `signal` aborts or the coordinator ends the watch. Throws UNAVAILABLE after `reconnectSeconds` alone. */
  async *snapshots(signal: AbortSignal): AsyncGenerator<WeightsSnapshot, void, undefined> {
    const onAbort = (): void => this.finish();
    signal.addEventListener("abort", onAbort);
    try {
      this.startGivingUp();
      this.subscribe();
      while (!signal.aborted && !this.finished) {
        const snapshot = this.waiting;
        if (snapshot !== null) {
          this.waiting = null;
          yield snapshot;
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
    const assembler = new FrameAssembler(this.options.maxMessageBytes);
    const stream = this.wire.open("WatchWeights", {
      onOpen: () => {
        clearTimeout(this.giveUpTimer);
        this.giveUpTimer = undefined;
        this.backoff.reset();
      },
      onMessage: (bytes) => {
        try {
          const message = assembler.push(bytes);
          if (message !== null) this.offer(decodeWeights(message.bytes));
        } catch (error) {
          this.fail(toSkeinError(error));
        }
      },
      onDrain: () => undefined,
      onEnd: (error) => this.onEnd(error),
    });
    this.stream = stream;
    stream.write(watchRequest.encode({ afterVersion: this.lastSeen }));
    stream.end();
  }

  private offer(snapshot: WeightsSnapshot): void {
    if (snapshot.version <= this.lastSeen) return;
    this.lastSeen = snapshot.version;
    this.waiting = snapshot;
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
