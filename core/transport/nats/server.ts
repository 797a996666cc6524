/**
 * The serving side of the wire over NATS. A run's service has one server: the first, which answers whoever asks whether
 * the place is taken. After a break it takes its place again, unless another has it by then: it is silent until that
 * one is gone.
 */
import {
  createInbox,
  Empty,
  ErrorCode as NatsCode,
  type Msg,
  type NatsConnection,
  type Subscription,
} from "nats";
import { messageOf, SkeinError, toSkeinError } from "../../errors.js";
import { CallRate } from "../../security/call-rate.js";
import { unavailable } from "../retry.js";
import type { Listening } from "../transport.js";
import { LinkBroken, type Service } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import type { NatsSettings } from "./settings.js";
import { NatsLink } from "./link.js";
import { errorBody, expectProtocol, Incoming, publish, publishLater } from "./message.js";
import { NatsServedStream } from "./served-stream.js";
import { senderOf } from "./stream-end.js";
import { subjectsOf } from "./wire.js";

/** The method that every server answers by itself. */
const PRESENCE = "presence";
/** Milliseconds for the one that holds the place to say so. */
const PRESENCE_MS = 1000;

/**
 * Serves `service`. Throws PORT_IN_USE where another process serves it at `address`, UNAVAILABLE where the NATS
 * server was out of reach for `reconnectSeconds`, and CONFIG_INVALID on an address of another form.
 */
export async function serveNats(
  service: Service,
  address: string,
  options: NatsSettings,
  maxCallsPerSecond: number,
  protocolVersion: number,
): Promise<Listening> {
  const server = new NatsServer(parsePlace(address), service, options, maxCallsPerSecond, protocolVersion);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

interface Unfinished {
  readonly incoming: Incoming;
  /** performance.now() milliseconds after which nobody waits for the answer any more. */
  readonly until: number;
}

class NatsServer implements Listening {
  private readonly link: NatsLink;
  private readonly subjects: ReturnType<typeof subjectsOf>;
  private readonly inbox = createInbox();
  /** By where this side listens for them. */
  private readonly streams = new Map<string, NatsServedStream>();
  private readonly rate: CallRate;
  private lastStream = 0;
  private readonly lifeTimer: NodeJS.Timeout;
  private subscriptions: Subscription[] = [];
  /** Requests of which not every frame is there, by where their answer goes. */
  private readonly unfinished = new Map<string, Unfinished>();
  private started = false;

  constructor(
    private readonly place: RunPlace,
    private readonly service: Service,
    private readonly options: NatsSettings,
    private readonly maxCallsPerSecond: number,
    private readonly protocolVersion: number,
  ) {
    this.rate = new CallRate(maxCallsPerSecond);
    this.subjects = subjectsOf(place, service.name);
    this.link = new NatsLink(place, options, {
      onUp: (connection) => this.takePlace(connection),
      onDown: (detail) => {
        this.unfinished.clear();
        for (const stream of this.streams.values()) stream.line.break(detail);
      },
    });
    this.lifeTimer = setInterval(() => {
      for (const stream of this.streams.values()) stream.line.checkLife();
    }, 1000 * options.keepaliveSeconds);
  }

  get address(): string {
    return this.place.address;
  }

  async start(): Promise<void> {
    const began = performance.now();
    try {
      await this.link.reach(began + 1000 * this.options.reconnectSeconds);
      this.started = true;
    } catch (error) {
      if (!(error instanceof LinkBroken)) throw error;
      throw unavailable(this.address, performance.now() - began, error.message);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.lifeTimer);
    for (const stream of this.streams.values()) stream.leave();
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    await this.link.close();
  }

  private async takePlace(connection: NatsConnection): Promise<void> {
    await this.expectFree(connection);
    const listen = (subject: string, onMessage: (message: Msg) => void): Subscription =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) onMessage(message);
          else this.link.restart(connection, error.message);
        },
      });
    this.subscriptions = [
      listen(`${this.inbox}.*.*`, (message) => this.onWord(message)),
      listen(`${this.subjects.streams}.*`, (message) => this.onAsk(connection, message)),
      listen(`${this.subjects.calls}.*`, (message) => this.onCall(connection, message)),
    ];
    await connection.flush();
  }

  private async expectFree(connection: NatsConnection): Promise<void> {
    try {
      await connection.request(`${this.subjects.calls}.${PRESENCE}`, Empty, { timeout: PRESENCE_MS });
    } catch (error) {
      if ((error as { code?: unknown }).code === NatsCode.NoResponders) return;
      // Somebody listens and says nothing: it may be dead, which the NATS server will find out.
      const message = `the place is held by a process that does not answer (${messageOf(error)})`;
      throw new Error(message, { cause: error });
    }
    const advice = "stop the process that serves it, or give this run another name";
    const message = `${this.address} is served already: ${advice}`;
    throw this.started ? new Error(message) : new SkeinError("PORT_IN_USE", message);
  }

  private onCall(connection: NatsConnection, message: Msg): void {
    const { reply } = message;
    if (reply === undefined || reply === "") return;
    const method = message.subject.slice(this.subjects.calls.length + 1);
    if (method === PRESENCE) {
      this.answer(connection, reply, Empty);
      return;
    }
    // A connection's calls share an inbox, below which each has a token of its own.
    if (!this.rate.allows(reply.slice(0, reply.lastIndexOf(".")))) {
      const why = `over ${this.maxCallsPerSecond} calls a second on this connection (security.maxCallsPerSecond)`;
      publishLater(connection, reply, why, this.protocolVersion);
      return;
    }
    try {
      const request = this.whole(reply, message);
      if (request !== null) void this.serve(connection, reply, method, request);
    } catch (error) {
      this.unfinished.delete(reply);
      this.answerError(connection, reply, error);
    }
  }

  private onAsk(connection: NatsConnection, message: Msg): void {
    const peer = senderOf(message);
    if (peer === null) return;
    const method = message.subject.slice(this.subjects.streams.length + 1);
    const own = `${this.inbox}.${++this.lastStream}`;
    const stream = new NatsServedStream(own, this.protocolVersion, () => this.streams.delete(own));
    this.streams.set(own, stream);
    stream.accept(connection, peer, (served) => {
      expectProtocol(message, this.protocolVersion);
      return this.service.open(method, served);
    });
  }

  private onWord(message: Msg): void {
    const dot = message.subject.lastIndexOf(".");
    this.streams.get(message.subject.slice(0, dot))?.line.receive(message.subject.slice(dot + 1), message);
  }

  /** The request that `message` completes, else null. */
  private whole(reply: string, message: Msg): Uint8Array | null {
    const { maxMessageBytes, deadlineSeconds } = this.options;
    const begun = this.unfinished.get(reply);
    const incoming = begun?.incoming ?? new Incoming(maxMessageBytes);
    const request = incoming.push(message, this.protocolVersion);
    if (request !== null) {
      this.unfinished.delete(reply);
    } else if (begun === undefined) {
      const now = performance.now();
      // A Map keeps the order of insertion: the first is the oldest.
      for (const [old, { until }] of this.unfinished) {
        if (until > now) break;
        this.unfinished.delete(old);
      }
      this.unfinished.set(reply, { incoming, until: now + 1000 * deadlineSeconds });
    }
    return request;
  }

  private async serve(
    connection: NatsConnection,
    reply: string,
    method: string,
    request: Uint8Array,
  ): Promise<void> {
    try {
      this.answer(connection, reply, await this.service.call(method, request));
    } catch (error) {
      this.answerError(connection, reply, error);
    }
  }

  private answerError(connection: NatsConnection, reply: string, thrown: unknown): void {
    const error = toSkeinError(thrown);
    this.answer(connection, reply, errorBody(error), error);
  }

  private answer(connection: NatsConnection, subject: string, body: Uint8Array, error?: SkeinError): void {
    // An answer whose connection is gone is lost, as on any wire: the client asks again.
    if (connection.isClosed()) return;
    const failure = error === undefined ? {} : { error };
    publish(connection, { subject, body, ...failure }, this.options.chunkBytes, this.protocolVersion);
  }
}
