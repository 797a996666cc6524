/**
 * The sending side of rollouts over NATS. The server answers for a rollout once it has stored all of it: taken and
 * settled are then the same. Always: a rollout is held here until then; of those begun and not stored whole there are
 * never more than the credits, and never more than `WINDOW_BYTES` are published and not answered for; a full queue
 * keeps everything waiting. Nothing is dropped silently: a rollout leaves by being stored, or by rejecting its `send`.
 */
import { createInbox, headers, nuid, type Msg, type NatsConnection } from "nats";
import { SkeinError, toSkeinError } from "../../errors.js";
import type { Rollout } from "../../types.js";
import { settledWithin } from "../../waiting.js";
import { encodeRollout } from "../codec.js";
import { frameCodec, tooLong, type Frame } from "../frames.js";
import { Outgoing, rejectedSending } from "../outgoing.js";
import { Backoff, closedHere, unavailable } from "../retry.js";
import type { RolloutSender, Sending } from "../transport.js";
import { parsePlace, type RunPlace } from "./address.js";
import type { NatsSettings } from "./settings.js";
import { NatsLink } from "./link.js";
import { bodyLimit, nobodyListens } from "./message.js";
import { ensureRolloutStream, jetStreamOf, readPubAck } from "./rollout-stream.js";
import { SendingRollout, type Outlook } from "./sending.js";

/** Published and not answered for: enough to keep the server busy, well below what it buffers for a client. */
const WINDOW_BYTES = 8 * 1024 * 1024;
const TICK_MS = 250;
/** Between two notices of a full queue. */
const NOTICE_MS = 60_000;

interface InFlight {
  readonly rollout: SendingRollout;
  readonly sending: string;
  readonly index: number;
  readonly bytes: number;
  /** performance.now() milliseconds. */
  readonly at: number;
}

export class NatsRolloutSender implements RolloutSender {
  private readonly held = new Outgoing<Uint8Array>();
  /** Begun and not stored whole, oldest first. */
  private readonly begun = new Map<number, SendingRollout>();
  /** By the last token of where the answer goes; oldest first. */
  private readonly inFlight = new Map<string, InFlight>();
  private inFlightBytes = 0;
  private readonly name = nuid.next();
  private link: NatsLink;
  private inbox = "";
  private lastPublish = 0;
  private chunkBytes = 0;
  /** The queue takes no more: one frame at a time finds out when it does again. */
  private isFull = false;
  private fullTimer: NodeJS.Timeout | undefined;
  private nextNoticeAt = 0;
  private readonly backoff = new Backoff();
  /** performance.now() milliseconds of the last answer, or since when there is something to answer. */
  private heardAt = 0;
  private closing: Promise<void> | null = null;
  private onAllTaken: () => void = () => undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private place: RunPlace,
    private readonly options: NatsSettings,
  ) {
    this.link = this.connect(place);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  send(rollout: Rollout): Sending {
    try {
      const bytes = this.encode(rollout);
      if (this.held.size === 0) this.heardAt = performance.now();
      const sending = this.held.add(() => bytes);
      this.pump();
      return sending;
    } catch (error) {
      return rejectedSending(toSkeinError(error));
    }
  }

  moveTo(address: string): void {
    const next = parsePlace(address);
    if (this.closing !== null || next.address === this.place.address) return;
    const former = this.link;
    this.end();
    this.place = next;
    this.link = this.connect(next);
    void former.close();
  }

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  abandon(): void {
    if (this.closing !== null) return;
    this.closing = this.leave(closedHere(this.place.address));
  }

  private encode(rollout: Rollout): Uint8Array {
    if (this.closing !== null) throw closedHere(this.place.address);
    const bytes = encodeRollout(rollout);
    const what = `rollout ${rollout.rolloutId}`;
    const { maxMessageBytes, nats } = this.options;
    if (bytes.byteLength > maxMessageBytes) throw tooLong(what, bytes.byteLength, maxMessageBytes);
    // Two halves of two rollouts must not fill the queue for good.
    const most = Math.floor(nats.maxBytes / 4);
    if (bytes.byteLength > most) {
      const advice = "send smaller fragments or raise transport.nats.maxBytes";
      const message = `${what}: ${bytes.byteLength} bytes are over a quarter of the queue (${most}): ${advice}`;
      throw new SkeinError("REFUSED", message);
    }
    return bytes;
  }

  private connect(place: RunPlace): NatsLink {
    const link: NatsLink = new NatsLink(place, this.options, {
      onUp: (connection) => this.begin(link, connection),
      onDown: () => {
        if (this.link === link) this.end();
      },
      onRefused: (error) => this.rejectAll(error),
    });
    return link;
  }

  private async begin(link: NatsLink, connection: NatsConnection): Promise<void> {
    const manager = await jetStreamOf(connection, this.options.deadlineSeconds);
    await ensureRolloutStream(manager, link.place, this.options);
    if (this.link !== link) return;
    this.inbox = createInbox();
    this.chunkBytes = bodyLimit(connection, this.options.chunkBytes);
    connection.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) link.restart(connection, error.message);
        else if (this.link === link) this.onAnswer(connection, message);
      },
    });
    for (const rollout of this.begun.values()) rollout.rewind(this.outlook());
    // The link has its connection once this has returned.
    setImmediate(() => this.pump());
  }

  private end(): void {
    this.inFlight.clear();
    this.inFlightBytes = 0;
    this.stopWaiting();
  }

  private outlook(): Outlook {
    return { now: performance.now(), chunkBytes: this.chunkBytes };
  }

  private pump(): void {
    const connection = this.link.current;
    if (connection === null || connection.isClosed() || this.fullTimer !== undefined) return;
    for (let rollout = this.unfinished(); rollout !== null; rollout = this.unfinished()) {
      if (this.inFlightBytes >= (this.isFull ? 1 : WINDOW_BYTES)) return;
      const frame = rollout.next(this.outlook());
      if (frame !== null) this.publish(connection, rollout, frame);
    }
  }

  /** The oldest with frames to publish; begins another where credits allow. */
  private unfinished(): SendingRollout | null {
    for (const rollout of this.begun.values()) if (!rollout.allPublished) return rollout;
    if (this.begun.size >= this.options.credits) return null;
    const next = this.held.next();
    if (next === null) return null;
    const rollout = new SendingRollout(next.id, next.content);
    this.begun.set(next.id, rollout);
    return rollout;
  }

  private publish(connection: NatsConnection, rollout: SendingRollout, frame: Frame): void {
    const { sending } = rollout;
    const { index, payload } = frame;
    const token = String(++this.lastPublish);
    const head = headers();
    head.set("Nats-Msg-Id", `${this.name}.${sending}.${index}`);
    const bytes = payload.byteLength;
    this.inFlight.set(token, { rollout, sending, index, bytes, at: performance.now() });
    this.inFlightBytes += bytes;
    connection.publish(`${this.place.rolloutPrefix}.${this.name}.${sending}`, frameCodec.encode(frame), {
      headers: head,
      reply: `${this.inbox}.${token}`,
    });
  }

  private onAnswer(connection: NatsConnection, message: Msg): void {
    const token = message.subject.slice(this.inbox.length + 1);
    const answered = this.inFlight.get(token);
    if (answered === undefined) return;
    if (nobodyListens(message)) {
      this.link.restart(connection, "the rollout queue is gone");
      return;
    }
    this.inFlight.delete(token);
    this.inFlightBytes -= answered.bytes;
    this.heardAt = performance.now();
    const { rollout, sending, index } = answered;
    const { kind, detail } = readPubAck(message.data);
    if (kind === "full") {
      rollout.onFull(sending, index, this.outlook());
      this.waitForRoom(detail);
    } else if (kind === "refused") {
      this.begun.delete(rollout.id);
      this.held.refuse(rollout.id, new SkeinError("REFUSED", `the NATS server refuses a rollout: ${detail}`));
    } else {
      this.isFull = false;
      this.backoff.reset();
      if (rollout.onStored(sending, index, this.outlook())) {
        this.begun.delete(rollout.id);
        this.held.settle(rollout.id);
      }
    }
    this.pump();
    if (this.held.allTaken) this.onAllTaken();
  }

  private waitForRoom(detail: string): void {
    const now = performance.now();
    if (now >= this.nextNoticeAt) {
      this.nextNoticeAt = now + NOTICE_MS;
      const advice = "the learner is slower than the actors, or away; transport.nats.maxBytes sets the size";
      this.options.notice(`the rollout queue at ${this.place.address} takes no more (${detail}): ${advice}`);
    }
    this.isFull = true;
    this.fullTimer ??= setTimeout(() => {
      this.fullTimer = undefined;
      this.pump();
    }, this.backoff.next());
  }

  private stopWaiting(): void {
    clearTimeout(this.fullTimer);
    this.fullTimer = undefined;
  }

  /** Sees to silence: of the server as a whole, and of one connection. */
  private tick(): void {
    if (this.held.size === 0) return;
    const now = performance.now();
    const { reconnectSeconds, deadlineSeconds } = this.options;
    if (now - this.heardAt > 1000 * reconnectSeconds) {
      this.rejectAll(unavailable(this.place.address, now - this.heardAt, this.link.trouble));
      return;
    }
    const [oldest] = this.inFlight.values();
    const connection = this.link.current;
    if (connection !== null && oldest !== undefined && now - oldest.at > 1000 * deadlineSeconds) {
      this.link.restart(connection, `the server did not confirm a rollout within ${deadlineSeconds} s`);
    }
  }

  private rejectAll(error: SkeinError): void {
    this.begun.clear();
    this.end();
    this.held.refuseAll(error);
    this.onAllTaken();
  }

  private async finish(): Promise<void> {
    if (!this.held.allTaken) {
      const taken = new Promise<void>((resolve) => (this.onAllTaken = resolve));
      await settledWithin(taken, this.options.deadlineSeconds);
    }
    const reason = `${closedHere(this.place.address).message} with ${this.held.size} rollouts unsettled`;
    await this.leave(new SkeinError("UNAVAILABLE", reason));
  }

  private async leave(error: SkeinError): Promise<void> {
    clearInterval(this.timer);
    this.rejectAll(error);
    await this.link.close();
  }
}
