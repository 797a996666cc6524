/**
 * The learner's place at the rollout queue, for the life of one connection: asks for messages ahead of need and says
 * what became of them. Requests have no expiry: nats-server 2.9 drops an expired one without a word (fixed in 2.9.16),
 * and whoever counts what it has asked for would wait for ever.
 */
import { createInbox, type JetStreamManager, type Msg, type NatsConnection } from "nats";
import { nobodyListens } from "./message.js";
import type { RunPlace } from "./address.js";
import { storedUnder, waitingPulls } from "./rollout-stream.js";

/** Frames asked for at a time: with frames of 256 KiB 16 MiB, well below the 64 MiB a server keeps for a client. */
const BATCH = 64;

/** One delivery of one message. */
export interface Delivery {
  /** Where word of it goes. */
  readonly reply: string;
  /** The message's number in the stream. */
  readonly sequence: number;
}

export interface PlaceOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly run: RunPlace;
  /** The name of the place at the server. */
  readonly consumer: string;
  /** Nothing was waiting in the queue when the place was taken. */
  readonly empty: boolean;
  readonly onMessage: (message: Msg, delivery: Delivery) => void;
  /** Whether there is room for more. */
  readonly hasRoom: () => boolean;
  /** The connection has to be made anew. */
  readonly onTrouble: (detail: string) => void;
}

/**
 * What the server tells in the subject of an acknowledgement:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivery>.<time>.<behind>`; newer servers put domain and
 * account after `$JS.ACK` and a random token last.
 */
function readReply(reply: string): { readonly sequence: number; readonly behind: number } {
  const tokens = reply.split(".");
  const shift = tokens.length === 9 ? 0 : 2;
  return { sequence: Number(tokens[5 + shift]), behind: Number(tokens[8 + shift]) };
}

export class QueuePlace {
  /** Everything that was in the queue when the place was taken has been delivered on it. */
  caughtUp: boolean;
  private readonly inbox = createInbox();
  /** Asked for and not delivered. */
  private asked = 0;
  private heard = true;

  constructor(private readonly options: PlaceOptions) {
    this.caughtUp = options.empty;
    options.connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (error === null) this.take(message);
        else options.onTrouble(error.message);
      },
    });
  }

  /** Asks for more where there is room and little is on its way. */
  pull(): void {
    const { connection, run, consumer, hasRoom } = this.options;
    if (connection.isClosed() || this.asked > BATCH / 2 || !hasRoom()) return;
    const batch = BATCH - this.asked;
    this.asked = BATCH;
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${run.rolloutStream}.${consumer}`;
    connection.publish(subject, JSON.stringify({ batch }), { reply: this.inbox });
  }

  /** Says `word` to each of `replies`. What cannot be said any more is delivered again. */
  say(word: Uint8Array, replies: Iterable<string>): void {
    const { connection } = this.options;
    if (connection.isClosed()) return;
    for (const reply of replies) connection.publish(reply, word);
  }

  /** Resolves once the server has everything that was said. */
  flush(): Promise<void> {
    return this.options.connection.flush();
  }

  /** How many messages with that subject are in the queue, held ones included. */
  stored(subject: string): Promise<number> {
    return storedUnder(this.options.manager, this.options.run, subject);
  }

  /** After a silence: whether the server still knows of this place and of what it asked for. */
  async check(): Promise<void> {
    const { manager, run, consumer, onTrouble } = this.options;
    if (this.heard || this.asked === 0) {
      this.heard = false;
      return;
    }
    const waiting = await waitingPulls(manager, run, consumer);
    if (waiting === null) onTrouble("the learner's place at the queue is gone");
    else if (waiting === 0 && !this.heard) this.asked = 0;
    this.pull();
  }

  private take(message: Msg): void {
    this.heard = true;
    const { reply } = message;
    if (message.subject === this.inbox || reply === undefined || reply === "") {
      this.onStatus(message);
      return;
    }
    const { sequence, behind } = readReply(reply);
    this.asked = Math.max(0, this.asked - 1);
    this.caughtUp ||= behind === 0;
    this.options.onMessage(message, { reply, sequence });
    this.pull();
  }

  /** The server ends a request with a status: deleted, moved to another server, shut down. */
  private onStatus(message: Msg): void {
    const { headers } = message;
    const status = nobodyListens(message) ? "no such place" : (headers?.description ?? "");
    this.options.onTrouble(`the server ended the learner's request for rollouts: ${status}`);
  }
}
