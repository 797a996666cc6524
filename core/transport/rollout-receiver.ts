/**
 * The receiving side of rollouts: the Learner service. Always: deliveries of one stream are handed over in the order
 * in which they came; at most `credits` of them are untaken, then the stream is not read; every delivery is settled
 * once. What is settled after its stream broke is lost on the way: the sender sends that rollout again.
 */
import { messageOf, toSkeinError, type ErrorCode } from "../errors.js";
import { decodeRollout } from "./codec.js";
import { FrameAssembler, type Message } from "./frames.js";
import { rolloutAck, type AckKind, type RolloutAck } from "./messages.js";
import { LEARNER_SERVICE } from "./schema.js";
import type { DeliveryHandler, TransportOptions } from "./transport.js";
import { Stall } from "./stall.js";
import { unknownMethod, type ServedListener, type ServedStream, type Service } from "./wire.js";

/** Offers `onDelivery` to senders. A delivery whose handler throws is rejected with what it threw. */
export function learnerService(onDelivery: DeliveryHandler, options: TransportOptions): Service {
  return {
    name: LEARNER_SERVICE,
    call: (method) => Promise.reject(unknownMethod(LEARNER_SERVICE, method)),
    open: (_method, stream) => new RolloutReceiver(stream, onDelivery, options),
  };
}

const NOTHING = { messageId: 0, rolloutId: "", reason: "", code: "" } as const;

/** Acknowledgements that a sender may leave unread before it is not read from any more either. */
const MOST_UNREAD = 4096;

class RolloutReceiver implements ServedListener {
  private readonly assembler: FrameAssembler;
  private untaken = 0;
  private unsettled = 0;
  private unread = 0;
  private halfClosed = false;
  private over = false;
  private paused = false;
  private readonly stall: Stall;

  constructor(
    private readonly stream: ServedStream,
    private readonly onDelivery: DeliveryHandler,
    private readonly options: TransportOptions,
  ) {
    this.assembler = new FrameAssembler(options.maxMessageBytes);
    this.stall = new Stall(options.deadlineSeconds, (error) => this.fail(error));
    this.say({ ...NOTHING, kind: "greeting" });
  }

  onMessage(bytes: Uint8Array): void {
    if (this.over) return;
    try {
      const message = this.assembler.push(bytes);
      if (message !== null) this.deliver(message);
      this.stall.await(this.assembler.partial && !this.paused);
    } catch (error) {
      this.fail(error);
    }
  }

  onHalfClose(): void {
    if (this.over) return;
    try {
      this.assembler.expectWhole();
      this.halfClosed = true;
      this.endWhenSettled();
    } catch (error) {
      this.fail(error);
    }
  }

  onGone(): void {
    this.over = true;
    this.stall.await(false);
  }

  private fail(error: unknown): void {
    this.over = true;
    this.stall.await(false);
    this.stream.end(toSkeinError(error));
  }

  private deliver(message: Message): void {
    this.untaken += 1;
    this.unsettled += 1;
    this.flow();
    let rolloutId = "";
    let taken = false;
    let settled = false;
    const free = (): void => {
      if (taken) return;
      taken = true;
      this.untaken -= 1;
      this.flow();
    };
    const settle = (kind: AckKind, reason = "", code: ErrorCode | "" = ""): void => {
      if (settled) return;
      settled = true;
      this.unsettled -= 1;
      this.say({ messageId: message.id, rolloutId, kind, reason, code });
      free();
      this.endWhenSettled();
    };
    const take = (): void => {
      if (taken) return;
      this.say({ ...NOTHING, messageId: message.id, rolloutId, kind: "taken" });
      free();
    };
    try {
      const rollout = decodeRollout(message.bytes);
      rolloutId = rollout.rolloutId;
      this.onDelivery({
        rollout,
        bytes: message.bytes.byteLength,
        take,
        ack: () => settle("settled"),
        reject: (reason) => settle("refused", reason, "REFUSED"),
      });
    } catch (error) {
      settle("refused", messageOf(error), toSkeinError(error).code);
    }
  }

  private endWhenSettled(): void {
    if (this.halfClosed && !this.over && this.unsettled === 0) this.stream.end();
  }

  /** The sender is read from while what it sent is taken and what it is told is read. */
  private flow(): void {
    const pause = this.untaken >= this.options.credits || this.unread >= MOST_UNREAD;
    if (this.over || pause === this.paused) return;
    this.paused = pause;
    this.stall.await(this.assembler.partial && !pause);
    if (pause) this.stream.pause();
    else this.stream.resume();
  }

  private say(ack: Omit<RolloutAck, "credits">): void {
    if (this.over) return;
    this.unread += 1;
    void this.stream.write(rolloutAck.encode({ ...ack, credits: this.options.credits })).then(() => {
      this.unread -= 1;
      this.flow();
    });
  }
}
