/** The client's end of a stream, as the wire's users see it. */
import type { Msg, NatsConnection } from "nats";
import { toSkeinError, type SkeinError } from "../../errors.js";
import { LinkBroken, type StreamListener, type WireStream } from "../wire.js";
import { errorIn, expectProtocol } from "./message.js";
import { senderOf, StreamEnd, type Word } from "./stream-end.js";

export class ClientStream implements WireStream {
  readonly line: StreamEnd;
  private isOver = false;

  constructor(
    own: string,
    private readonly listener: StreamListener,
    private readonly protocolVersion: number,
    /** Called once, when nothing more comes. */
    private readonly onOver: () => void,
  ) {
    this.line = new StreamEnd(own, {
      onWord: (word, message) => this.onWord(word, message),
      onRoom: () => {
        if (!this.isOver) listener.onDrain();
      },
      onBroken: (detail) => this.finish(new LinkBroken(detail)),
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.line.write(bytes);
  }

  end(): void {
    this.line.say("half");
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.line.drop();
    this.onOver();
  }

  /** Its connection could not be had. */
  fail(error: LinkBroken | SkeinError): void {
    if (this.isOver) return;
    this.line.drop();
    this.finish(error);
  }

  receive(connection: NatsConnection, word: string, message: Msg): void {
    if (word !== "accept") {
      this.line.receive(word, message);
      return;
    }
    const peer = senderOf(message);
    if (peer === null || this.isOver) return;
    // Before what was written meanwhile goes out and is answered.
    this.listener.onOpen();
    this.line.join(connection, peer);
  }

  private onWord(word: Word, message: Msg): void {
    if (this.isOver) return;
    if (word === "data") this.listener.onMessage(message.data);
    else if (word === "end") this.finish(null);
    else if (word === "fail") this.finish(this.failureIn(message));
  }

  /** Without an error code the server went away: trying again may help. */
  private failureIn(message: Msg): LinkBroken | SkeinError {
    try {
      expectProtocol(message, this.protocolVersion);
      return errorIn(message, message.data) ?? new LinkBroken(message.string());
    } catch (error) {
      return toSkeinError(error);
    }
  }

  private finish(error: LinkBroken | SkeinError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.line.drop();
    this.onOver();
    this.listener.onEnd(error);
  }
}
