/** The server's end of a stream, as services see it. */
import { Empty, type Msg, type NatsConnection } from "nats";
import { toSkeinError, type SkeinError } from "../../errors.js";
import type { ServedListener, ServedStream } from "../wire.js";
import { errorBody, headersOf } from "./message.js";
import { StreamEnd, type Word } from "./stream-end.js";

export class NatsServedStream implements ServedStream {
  readonly line: StreamEnd;
  private listener: ServedListener | null = null;
  private isOver = false;

  constructor(
    own: string,
    private readonly protocolVersion: number,
    private readonly onOver: () => void,
  ) {
    this.line = new StreamEnd(own, {
      onWord: (word, message) => this.onWord(word, message),
      onRoom: () => undefined,
      onBroken: () => this.gone(),
    });
  }

  /** Accepts the stream of the end at `peer`, or refuses it with what `open` throws. */
  accept(connection: NatsConnection, peer: string, open: (stream: ServedStream) => ServedListener): void {
    this.line.join(connection, peer);
    try {
      this.line.say("accept");
      this.listener = open(this);
    } catch (error) {
      this.end(toSkeinError(error));
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return new Promise((resolve) => void this.line.write(bytes, resolve));
  }

  pause(): void {
    this.line.pause();
  }

  resume(): void {
    this.line.resume();
  }

  end(error?: SkeinError): void {
    if (this.isOver) return;
    const done = (): void => this.gone();
    if (error === undefined) this.line.say("end", Empty, null, done);
    else this.line.say("fail", errorBody(error), headersOf(this.protocolVersion, error), done);
  }

  /** The server goes away: clients try elsewhere or again. */
  leave(): void {
    if (this.isOver) return;
    const reason = new TextEncoder().encode("the server is closing");
    this.line.say("fail", reason, headersOf(this.protocolVersion));
    this.line.break("closed here");
  }

  private onWord(word: Word, message: Msg): void {
    if (this.isOver) return;
    if (word === "data") this.listener?.onMessage(message.data);
    else if (word === "half") this.listener?.onHalfClose();
    else if (word === "cancel") this.line.break("cancelled");
  }

  private gone(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onOver();
    // Never before the call that opened the stream has returned.
    setImmediate(() => this.listener?.onGone());
  }
}
