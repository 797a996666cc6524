/**
 * The receiving side of rollouts: the Learner service. Always: deliveries of one stream are handed over in the order
 * in which they came; at most `credits` of them are unanswered, then the stream is not read; every delivery is
 * answered once. What is answered after its stream broke is lost on the way: the sender sends that rollout again.
 */
import { messageOf, toSkeinError, type ErrorCode } from "../errors.js";
import { decodeRollout } from "./codec.js";
import { FrameAssembler, type Message } from "./frames.js";
import { rolloutAck } from "./messages.js";
import { LEARNER_SERVICE } from "./schema.js";
import type { DeliveryHandler, TransportOptions } from "./transport.js";
import { unknownMethod, type ServedListener, type ServedStream, type Service } from "./wire.js";

/** Offers `onDelivery` to senders. A delivery whose handler throws is rejected with what it threw. */
export function learnerService(onDelivery: DeliveryHandler, options: TransportOptions): Service {
  return {
    name: LEARNER_SERVICE,
    call: (method) => Promise.reject(unknownMethod(LEARNER_SERVICE, method)),
    open: (_method, stream) => new RolloutReceiver(stream, onDelivery, options),
  };
}

interface Verdict {
  readonly accepted: boolean;
  readonly reason: string;
  readonly code: ErrorCode | "";
}

const ACCEPTED: Verdict = { accepted: true, reason: "", code: "" };

class RolloutReceiver implements ServedListener {
  private readonly assembler: FrameAssembler;
  private unanswered = 0;
  private halfClosed = false;
  private over = false;

  constructor(
    private readonly stream: ServedStream,
    private readonly onDelivery: DeliveryHandler,
    private readonly options: TransportOptions,
  ) {
    this.assembler = new FrameAssembler(options.maxMessageBytes);
    this.write(0, "", ACCEPTED);
  }

  onMessage(bytes: Uint8Array): void {
    if (this.over) return;
    try {
      const message = this.assembler.push(bytes);
      if (message !== null) this.deliver(message);
    } catch (error) {
      this.fail(error);
    }
  }

  onHalfClose(): void {
    if (this.over) return;
    try {
      this.assembler.expectWhole();
      this.halfClosed = true;
      this.endWhenAnswered();
    } catch (error) {
      this.fail(error);
    }
  }

  onGone(): void {
    this.over = true;
  }

  private fail(error: unknown): void {
    this.over = true;
    this.stream.end(toSkeinError(error));
  }

  private deliver(message: Message): void {
    this.unanswered += 1;
    if (this.unanswered >= this.options.credits) this.stream.pause();
    let rolloutId = "";
    let answered = false;
    const answer = (verdict: Verdict): void => {
      if (answered) return;
      answered = true;
      this.answer(message.id, rolloutId, verdict);
    };
    const reject = (code: ErrorCode, reason: string): void => answer({ accepted: false, reason, code });
    try {
      const rollout = decodeRollout(message.bytes);
      rolloutId = rollout.rolloutId;
      this.onDelivery({
        rollout,
        bytes: message.bytes.byteLength,
        ack: () => answer(ACCEPTED),
        reject: (reason) => reject("REFUSED", reason),
      });
    } catch (error) {
      reject(toSkeinError(error).code, messageOf(error));
    }
  }

  private answer(messageId: number, rolloutId: string, verdict: Verdict): void {
    this.unanswered -= 1;
    if (this.over) return;
    this.write(messageId, rolloutId, verdict);
    this.stream.resume();
    this.endWhenAnswered();
  }

  private endWhenAnswered(): void {
    if (this.halfClosed && this.unanswered === 0) this.stream.end();
  }

  private write(messageId: number, rolloutId: string, verdict: Verdict): void {
    const ack = rolloutAck.encode({ messageId, rolloutId, ...verdict, credits: this.options.credits });
    void this.stream.write(ack);
  }
}
