/**
 * One end of a two-way stream over NATS. What is said stands in the last token of the subject. Always: little more
 * than `WINDOW_BYTES` are on their way that the other end has not consumed; data come in order, and none after an end;
 * a stream whose other end is gone or silent breaks.
 *
 * NATS tells who publishes with a reply subject that nobody listens any more, and tells it there: so every message
 * has `….gone` of its own end as its reply subject, which also says where that end listens.
 */
import { Empty, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import { messageOf } from "../../errors.js";

const WINDOW_BYTES = 1024 * 1024;

const WORDS = ["accept", "data", "consumed", "half", "end", "fail", "cancel", "ping", "pong"] as const;

/**
 * accept = the stream is open · consumed = as many bytes as the body says · half = this end has said all · end, fail =
 * the stream is over, in good order or not · cancel = it is dropped · ping, pong = life
 */
export type Word = (typeof WORDS)[number];

const GONE = "gone";

export interface EndHooks {
  /** Every word but those of flow and life. */
  onWord(word: Word, message: Msg): void;
  /** Room again after `write` returned false. */
  onRoom(): void;
  /** The other end is gone, silent or out of reach. */
  onBroken(detail: string): void;
}

interface Unsent {
  readonly word: Word;
  readonly body: Uint8Array;
  readonly headers: MsgHdrs | null;
  readonly onSent: () => void;
}

/** Where the end that sent `message` listens; null = it does not. */
export function senderOf(message: Msg): string | null {
  const { reply } = message;
  const suffix = `.${GONE}`;
  return reply?.endsWith(suffix) === true ? reply.slice(0, -suffix.length) : null;
}

export class StreamEnd {
  private connection: NatsConnection | null = null;
  private peer: string | null = null;
  private unsent: Unsent[] = [];
  private undelivered: Msg[] = [];
  /** Sent and not consumed, bytes. */
  private outstanding = 0;
  /** Consumed and not told, bytes. */
  private consumed = 0;
  private isFull = false;
  private isPaused = false;
  private isOver = false;
  private heard = true;

  constructor(
    /** Subject at which this end listens, its words one token below. */
    readonly own: string,
    private readonly hooks: EndHooks,
  ) {}

  /** Asks whoever listens at `subject` for a stream. What is written meanwhile goes out once it is accepted. */
  ask(connection: NatsConnection, subject: string, headers: MsgHdrs): void {
    if (this.isOver) return;
    this.connection = connection;
    connection.publish(subject, Empty, { headers, reply: `${this.own}.${GONE}` });
  }

  /** The other end listens at `peer`. */
  join(connection: NatsConnection, peer: string): void {
    this.connection = connection;
    this.peer = peer;
    this.flush();
  }

  /** False = taken, but wait for `onRoom`. */
  write(body: Uint8Array, onSent: () => void = () => undefined): boolean {
    this.say("data", body, null, onSent);
    this.isFull = !this.isOver && this.unsent.length > 0;
    return !this.isFull && !this.isOver;
  }

  /** Says `word` after all that was written. `end`, `fail` and `cancel` are the last words. */
  say(
    word: Word,
    body: Uint8Array = Empty,
    headers: MsgHdrs | null = null,
    onSent = (): void => undefined,
  ): void {
    if (this.isOver) {
      onSent();
      return;
    }
    this.unsent.push({ word, body, headers, onSent });
    this.flush();
  }

  /** Drops the stream at once; the other end hears of it, where it can. */
  drop(): void {
    if (this.isOver) return;
    this.over();
    this.publish("cancel", Empty, null);
  }

  break(detail: string): void {
    if (this.isOver) return;
    this.over();
    this.hooks.onBroken(detail);
  }

  /** Data wait until `resume`; with that the other end comes to a halt. */
  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    while (!this.isPaused && !this.isOver) {
      const message = this.undelivered.shift();
      if (message === undefined) return;
      this.deliver(message);
    }
  }

  /** A message at `own` with `word` as its last token. */
  receive(word: string, message: Msg): void {
    if (this.isOver) return;
    this.heard = true;
    if (word === GONE) this.break("the other side is gone");
    else if (word === "ping") this.publish("pong", Empty, null);
    else if (word === "consumed") this.onConsumed(Number(message.string()));
    else if (word !== "pong" && isWord(word)) {
      if (this.isPaused && word !== "cancel") this.undelivered.push(message);
      else this.deliver(message);
    }
  }

  /** Once each keep-alive time: breaks a stream whose other end has said nothing since the last. */
  checkLife(): void {
    if (this.isOver || this.peer === null) return;
    if (!this.heard) {
      this.break("the other side is silent");
      return;
    }
    this.heard = false;
    this.publish("ping", Empty, null);
  }

  private deliver(message: Msg): void {
    const word = message.subject.slice(this.own.length + 1) as Word;
    this.hooks.onWord(word, message);
    if (word !== "data") return;
    this.consumed += message.data.byteLength;
    if (this.consumed < WINDOW_BYTES / 4 || this.isOver) return;
    this.publish("consumed", new TextEncoder().encode(String(this.consumed)), null);
    this.consumed = 0;
  }

  private onConsumed(bytes: number): void {
    if (!(bytes > 0)) return;
    this.outstanding = Math.max(0, this.outstanding - bytes);
    this.flush();
  }

  private flush(): void {
    while (this.peer !== null && !this.isOver && this.outstanding < WINDOW_BYTES) {
      const next = this.unsent.shift();
      if (next === undefined) {
        if (!this.isFull) return;
        this.isFull = false;
        this.hooks.onRoom();
        return;
      }
      const { word, body, headers, onSent } = next;
      this.publish(word, body, headers);
      if (word === "data") this.outstanding += body.byteLength;
      onSent();
      if (word === "end" || word === "fail") this.over();
    }
  }

  private publish(word: Word, body: Uint8Array, headers: MsgHdrs | null): void {
    const { connection, peer } = this;
    if (connection === null || peer === null || connection.isClosed()) return;
    const reply = `${this.own}.${GONE}`;
    try {
      connection.publish(`${peer}.${word}`, body, headers === null ? { reply } : { reply, headers });
    } catch (error) {
      // Longer than the server's max_payload, or the connection broke just now.
      this.break(messageOf(error));
    }
  }

  private over(): void {
    this.isOver = true;
    this.undelivered = [];
    for (const { onSent } of this.unsent.splice(0)) onSent();
  }
}

function isWord(word: string): word is Word {
  return (WORDS as readonly string[]).includes(word);
}
