/**
 * The serving side of calls over NATS. A run's service has one server: the first, which answers whoever asks whether
 * the place is taken. After a break it takes its place again, unless another has it by then: it is silent until that
 * one is gone.
 */
import { Empty, ErrorCode as NatsCode, type Msg, type NatsConnection, type Subscription } from "nats";
import { messageOf, SkeinError, toSkeinError } from "../../errors.js";
import { unavailable } from "../retry.js";
import type { Listening, TransportOptions } from "../transport.js";
import { LinkBroken, type Service } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import { NatsLink } from "./link.js";
import { Incoming, publish } from "./message.js";
import { callSubject } from "./wire.js";

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
  options: TransportOptions,
  protocolVersion: number,
): Promise<Listening> {
  const server = new CallServer(parsePlace(address), service, options, protocolVersion);
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

class CallServer implements Listening {
  private readonly link: NatsLink;
  private readonly subject: string;
  private subscriptions: Subscription[] = [];
  /** Requests of which not every frame is there, by where their answer goes. */
  private readonly unfinished = new Map<string, Unfinished>();
  private started = false;

  constructor(
    private readonly place: RunPlace,
    private readonly service: Service,
    private readonly options: TransportOptions,
    private readonly protocolVersion: number,
  ) {
    this.subject = callSubject(place, service.name);
    this.link = new NatsLink(place, options, {
      onUp: (connection) => this.takePlace(connection),
      onDown: () => this.unfinished.clear(),
    });
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
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    await this.link.close();
  }

  private async takePlace(connection: NatsConnection): Promise<void> {
    await this.expectFree(connection);
    const listen = (method: string, onMessage: (message: Msg) => void): Subscription =>
      connection.subscribe(`${this.subject}.${method}`, {
        callback: (error, message) => {
          if (error === null) onMessage(message);
          else this.link.restart(connection, error.message);
        },
      });
    this.subscriptions = [listen("*", (message) => this.onMessage(connection, message))];
    await connection.flush();
  }

  private async expectFree(connection: NatsConnection): Promise<void> {
    try {
      await connection.request(`${this.subject}.${PRESENCE}`, Empty, { timeout: PRESENCE_MS });
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

  private onMessage(connection: NatsConnection, message: Msg): void {
    const { reply } = message;
    if (reply === undefined || reply === "") return;
    const method = message.subject.slice(this.subject.length + 1);
    if (method === PRESENCE) {
      this.answer(connection, reply, Empty);
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
    this.answer(connection, reply, new TextEncoder().encode(error.message), error);
  }

  private answer(connection: NatsConnection, subject: string, body: Uint8Array, error?: SkeinError): void {
    // An answer whose connection is gone is lost, as on any wire: the client asks again.
    if (connection.isClosed()) return;
    const failure = error === undefined ? {} : { error };
    publish(connection, { subject, body, ...failure }, this.options.chunkBytes, this.protocolVersion);
  }
}
