/**
 * The sending side of rollouts. Always: a rollout is held here from `send` until it is settled; those written on the
 * present stream and not yet taken never outnumber the credits; each stream carries rollouts in the order of their
 * ids, after a break beginning with the oldest unsettled. Nothing is dropped silently: a rollout leaves by being
 * settled, or by rejecting its `send`. How many are held is bounded by whoever sends: the coordinator grants no work
 * beyond what may wait for training, and what is trained is settled at the next checkpoint at the latest.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import type { Rollout } from "../types.js";
import { rolloutParts } from "./codec.js";
import { encodeParts, tooLong } from "./frames.js";
import { rolloutAck, type RolloutAck } from "./messages.js";
import { Outgoing, rejectedSending } from "./outgoing.js";
import { lengthOf } from "./parts.js";
import { Backoff, closedHere, unavailable } from "./retry.js";
import { codeOr } from "./error-codes.js";
import type { RolloutSender, Sending, TransportOptions } from "./transport.js";
import type { LinkBroken, Wire, WireStream } from "./wire.js";

/** Milliseconds for the other side to end a stream that this side has finished. */
const GOODBYE_MS = 1000;

export class WireRolloutSender implements RolloutSender {
  private readonly held = new Outgoing<readonly Uint8Array[]>();
  private wire: Wire;
  private stream: WireStream | null = null;
  private credits = 0;
  private congested = false;
  private lastTrouble = "no connection";
  private readonly backoff = new Backoff();
  private retryTimer: NodeJS.Timeout | undefined;
  private giveUpTimer: NodeJS.Timeout | undefined;
  private closing: Promise<void> | null = null;
  /** Called when nothing is left to take, and when a stream ends; only `close` listens. */
  private onAllTaken: () => void = () => undefined;
  private onStreamEnded: () => void = () => undefined;

  constructor(
    private readonly connect: (address: string) => Wire,
    address: string,
    private readonly options: TransportOptions,
  ) {
    this.wire = connect(address);
  }

  send(rollout: Rollout): Sending {
    try {
      const parts = this.partsOf(rollout);
      const sending = this.held.add((id) => encodeParts(id, parts, this.options.chunkBytes));
      if (this.stream === null && this.retryTimer === undefined) this.open();
      this.pump();
      return sending;
    } catch (error) {
      return rejectedSending(toSkeinError(error));
    }
  }

  moveTo(address: string): void {
    if (this.closing !== null || address === this.wire.address) return;
    const next = this.connect(address);
    this.dropStream();
    this.wire.close();
    this.wire = next;
    if (this.held.size > 0) this.open();
  }

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

  private partsOf(rollout: Rollout): Uint8Array[] {
    if (this.closing !== null) throw closedHere(this.wire.address);
    const parts = rolloutParts(rollout);
    const limit = this.options.maxMessageBytes;
    const bytes = lengthOf(parts);
    if (bytes > limit) throw tooLong(`rollout ${rollout.rolloutId}`, bytes, limit);
    return parts;
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
    while (!this.congested && this.held.untaken < this.credits) {
      const next = this.held.next();
      if (next === null) return;
      for (const frame of next.content) {
        if (!stream.write(frame)) this.congested = true;
      }
    }
  }

  private onAck(bytes: Uint8Array): void {
    try {
      const ack = rolloutAck.decode(bytes);
      this.credits = Math.min(ack.credits, this.options.credits);
      this.backoff.reset();
      this.heed(ack);
    } catch (error) {
      this.rejectAll(toSkeinError(error));
    }
    this.pump();
    if (this.held.allTaken) this.onAllTaken();
  }

  private heed({ kind, messageId, code, reason }: RolloutAck): void {
    if (kind === "taken") this.held.take(messageId);
    else if (kind === "settled") this.held.settle(messageId);
    else if (kind === "refused") this.held.refuse(messageId, new SkeinError(codeOr(code, "REFUSED"), reason));
  }

  private onEnd(error: LinkBroken | SkeinError | null): void {
    this.stream = null;
    this.held.rewind();
    this.onStreamEnded();
    if (error instanceof SkeinError) {
      this.rejectAll(error);
    } else if (this.held.size > 0) {
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

  /** Forgets the stream and its troubles; what is held stays. */
  private dropStream(): void {
    this.stopGivingUp();
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    this.stream?.cancel();
    this.stream = null;
    this.held.rewind();
  }

  /** Fails everything held; the next `send` begins anew. */
  private rejectAll(error: SkeinError): void {
    this.dropStream();
    this.held.refuseAll(error);
    this.onAllTaken();
  }

  private async finish(): Promise<void> {
    if (!this.held.allTaken) {
      await within(1000 * this.options.deadlineSeconds, (done) => (this.onAllTaken = done));
    }
    const left = this.held.size;
    if (left === 0 && this.stream !== null) {
      const stream = this.stream;
      await within(GOODBYE_MS, (done) => {
        this.onStreamEnded = done;
        stream.end();
      });
    }
    const reason = `${closedHere(this.wire.address).message} with ${left} rollouts unsettled`;
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
