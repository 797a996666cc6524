/**
 * The sending side of rollouts. Always: a rollout is held here from `send` until its acknowledgement; those written
 * but unacknowledged never outnumber the credits; each stream carries rollouts in the order of their ids, after a
 * break beginning with the oldest unacknowledged. Nothing is dropped silently: a rollout leaves by its
 * acknowledgement, or by rejecting its `send`.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import type { Rollout } from "../types.js";
import { encodeRollout } from "./codec.js";
import { encodeFrames, tooLong } from "./frames.js";
import { rolloutAck } from "./messages.js";
import { Backoff, closedHere, unavailable } from "./retry.js";
import { codeOr } from "./error-codes.js";
import type { RolloutSender, TransportOptions } from "./transport.js";
import type { LinkBroken, Wire, WireStream } from "./wire.js";

interface Pending {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: SkeinError) => void;
}

/** Milliseconds for the other side to end a stream that this side has finished. */
const GOODBYE_MS = 1000;

export class WireRolloutSender implements RolloutSender {
  /** Not written on the present stream, oldest first. */
  private waiting: Pending[] = [];
  /** Written on the present stream, oldest first, by id. */
  private readonly unacknowledged = new Map<number, Pending>();
  private lastId = 0;
  private stream: WireStream | null = null;
  private credits = 0;
  private congested = false;
  private lastTrouble = "no connection";
  private readonly backoff = new Backoff();
  private retryTimer: NodeJS.Timeout | undefined;
  private giveUpTimer: NodeJS.Timeout | undefined;
  private closing: Promise<void> | null = null;
  /** Called when nothing is left to acknowledge, and when a stream ends; only `close` listens. */
  private onSettled: () => void = () => undefined;
  private onStreamEnded: () => void = () => undefined;

  constructor(
    private readonly wire: Wire,
    private readonly options: TransportOptions,
  ) {}

  async send(rollout: Rollout): Promise<void> {
    if (this.closing !== null) throw closedHere(this.wire.address);
    const bytes = encodeRollout(rollout);
    const limit = this.options.maxMessageBytes;
    if (bytes.byteLength > limit) throw tooLong(`rollout ${rollout.rolloutId}`, bytes.byteLength, limit);
    return new Promise((resolve, reject) => {
      this.waiting.push({ id: ++this.lastId, bytes, resolve, reject });
      if (this.stream === null && this.retryTimer === undefined) this.open();
      this.pump();
    });
  }

  /** Waits up to `deadlineSeconds` for what is unacknowledged, then rejects what is left. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  abandon(): void {
    if (this.closing !== null) return;
    this.closing = Promise.resolve();
    this.rejectAll(closedHere(this.wire.address));
    this.wire.close();
  }

  private open(): void {
    this.startGivingUp();
    this.credits = 0;
    this.congested = false;
    this.stream = this.wire.open("PushRollouts", {
      onOpen: () => this.stopGivingUp(),
      onMessage: (bytes) => this.onAck(bytes),
      onDrain: () => {
        this.congested = false;
        this.pump();
      },
      onEnd: (error) => this.onEnd(error),
    });
  }

  private pump(): void {
    const stream = this.stream;
    if (stream === null) return;
    while (!this.congested && this.unacknowledged.size < this.credits) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      this.unacknowledged.set(next.id, next);
      for (const frame of encodeFrames(next.id, next.bytes, this.options.chunkBytes)) {
        if (!stream.write(frame)) this.congested = true;
      }
    }
  }

  private onAck(bytes: Uint8Array): void {
    try {
      const ack = rolloutAck.decode(bytes);
      this.credits = Math.min(ack.credits, this.options.credits);
      this.backoff.reset();
      const pending = this.unacknowledged.get(ack.messageId);
      if (pending !== undefined) {
        this.unacknowledged.delete(ack.messageId);
        if (ack.accepted) pending.resolve();
        else pending.reject(new SkeinError(codeOr(ack.code, "REFUSED"), ack.reason));
      }
    } catch (error) {
      this.rejectAll(toSkeinError(error));
    }
    this.pump();
    if (this.waiting.length + this.unacknowledged.size === 0) this.onSettled();
  }

  private onEnd(error: LinkBroken | SkeinError | null): void {
    this.stream = null;
    this.waiting = [...this.unacknowledged.values(), ...this.waiting];
    this.unacknowledged.clear();
    this.onStreamEnded();
    if (error instanceof SkeinError) {
      this.rejectAll(error);
    } else if (this.waiting.length > 0) {
      this.lastTrouble = error?.message ?? "the other side ended the stream";
      this.startGivingUp();
      this.retryTimer = setTimeout(() => {
        this.retryTimer = undefined;
        this.open();
      }, this.backoff.next());
    } else {
      this.stopGivingUp();
    }
  }

  /** Starts the clock of a silence, unless it runs already. */
  private startGivingUp(): void {
    const limit = 1000 * this.options.reconnectSeconds;
    this.giveUpTimer ??= setTimeout(() => {
      this.rejectAll(unavailable(this.wire.address, limit, this.lastTrouble));
    }, limit);
  }

  private stopGivingUp(): void {
    clearTimeout(this.giveUpTimer);
    this.giveUpTimer = undefined;
  }

  /** Fails everything held and forgets the stream; the next `send` begins anew. */
  private rejectAll(error: SkeinError): void {
    const held = [...this.unacknowledged.values(), ...this.waiting];
    this.unacknowledged.clear();
    this.waiting = [];
    this.stopGivingUp();
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    this.stream?.cancel();
    this.stream = null;
    for (const pending of held) pending.reject(error);
    this.onSettled();
  }

  private async finish(): Promise<void> {
    if (this.waiting.length + this.unacknowledged.size > 0) {
      await within(1000 * this.options.deadlineSeconds, (done) => (this.onSettled = done));
    }
    const left = this.waiting.length + this.unacknowledged.size;
    if (left === 0 && this.stream !== null) {
      const stream = this.stream;
      await within(GOODBYE_MS, (done) => {
        this.onStreamEnded = done;
        stream.end();
      });
    }
    const reason = `${closedHere(this.wire.address).message} with ${left} rollouts unacknowledged`;
    this.rejectAll(new SkeinError("UNAVAILABLE", reason));
    this.wire.close();
  }
}

/** Resolves when `start`'s callback is called, or after `milliseconds`. */
function within(milliseconds: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    start(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
