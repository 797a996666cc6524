/**
 * The client's side of the wire over NATS: request and reply, and streams, without JetStream. Always: a call is
 * answered once, by the reply, by its deadline or by the end of its connection; a stream ends with its connection.
 */
import { createInbox, type Msg, type NatsConnection } from "nats";
import { toSkeinError, type SkeinError } from "../../errors.js";
import { closedHere } from "../retry.js";
import { LinkBroken, noAnswer, type StreamListener, type Wire, type WireStream } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import { ClientStream } from "./client-stream.js";
import type { NatsSettings } from "./settings.js";
import { NatsLink } from "./link.js";
import { headersOf, Incoming, nobodyListens, publish } from "./message.js";

/** The subjects of a service's calls and streams, without the method; the service is named as in gRPC. */
export function subjectsOf(
  place: RunPlace,
  serviceName: string,
): { readonly calls: string; readonly streams: string } {
  const name = serviceName.split(".").at(-1) ?? serviceName;
  return { calls: `${place.prefix}.call.${name}`, streams: `${place.prefix}.stream.${name}` };
}

interface Call {
  readonly incoming: Incoming;
  readonly resolve: (reply: Uint8Array) => void;
  readonly reject: (error: LinkBroken | SkeinError) => void;
}

export class NatsWire implements Wire {
  readonly address: string;
  private readonly link: NatsLink;
  private readonly calls = new Map<string, Call>();
  private readonly streams = new Map<string, ClientStream>();
  private readonly inbox = createInbox();
  private readonly subjects: ReturnType<typeof subjectsOf>;
  private last = 0;
  private closed = false;
  private readonly lifeTimer: NodeJS.Timeout;

  /** Throws CONFIG_INVALID on an address of another form. */
  constructor(
    address: string,
    serviceName: string,
    private readonly options: NatsSettings,
    private readonly protocolVersion: number,
  ) {
    const place = parsePlace(address);
    this.address = place.address;
    this.subjects = subjectsOf(place, serviceName);
    this.link = new NatsLink(place, options, {
      onUp: (connection) => this.listen(connection),
      onDown: (detail) => this.break(detail),
    });
    this.lifeTimer = setInterval(() => {
      for (const stream of this.streams.values()) stream.line.checkLife();
    }, 1000 * options.keepaliveSeconds);
  }

  async call(method: string, request: Uint8Array, connectBy: number): Promise<Uint8Array> {
    if (this.closed) throw closedHere(this.address);
    const connection = await this.link.reach(connectBy);
    return new Promise((resolve, reject) => {
      const reply = `${this.inbox}.${++this.last}`;
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.calls.delete(reply);
        act();
      };
      const call: Call = {
        incoming: new Incoming(this.options.maxMessageBytes),
        resolve: (bytes) => settle(() => resolve(bytes)),
        reject: (error) => settle(() => reject(error)),
      };
      const { deadlineSeconds, chunkBytes } = this.options;
      const late = noAnswer(this.address, method, deadlineSeconds);
      const timer = setTimeout(() => call.reject(late), 1000 * deadlineSeconds);
      this.calls.set(reply, call);
      try {
        const subject = `${this.subjects.calls}.${method}`;
        publish(connection, { subject, reply, body: request }, chunkBytes, this.protocolVersion);
      } catch (error) {
        call.reject(connection.isClosed() ? new LinkBroken("the connection broke") : toSkeinError(error));
      }
    });
  }

  open(method: string, listener: StreamListener): WireStream {
    if (this.closed) throw closedHere(this.address);
    const own = `${this.inbox}.${++this.last}`;
    const stream = new ClientStream(own, listener, this.protocolVersion, () => this.streams.delete(own));
    this.streams.set(own, stream);
    const head = headersOf(this.protocolVersion);
    this.link.reach(performance.now() + 1000 * this.options.deadlineSeconds).then(
      (connection) => stream.line.ask(connection, `${this.subjects.streams}.${method}`, head),
      (error: unknown) => stream.fail(error instanceof LinkBroken ? error : toSkeinError(error)),
    );
    return stream;
  }

  close(): void {
    this.closed = true;
    clearInterval(this.lifeTimer);
    this.break("closed here");
    void this.link.close();
  }

  private listen(connection: NatsConnection): Promise<void> {
    const subscribe = (subject: string, onMessage: (message: Msg) => void): void => {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) onMessage(message);
          else this.link.restart(connection, error.message);
        },
      });
    };
    subscribe(`${this.inbox}.*`, (message) => this.onReply(message));
    subscribe(`${this.inbox}.*.*`, (message) => this.onStream(connection, message));
    return Promise.resolve();
  }

  private onReply(message: Msg): void {
    const call = this.calls.get(message.subject);
    if (call === undefined) return;
    if (nobodyListens(message)) {
      call.reject(new LinkBroken(`nothing is served at ${this.address}`));
      return;
    }
    try {
      const body = call.incoming.push(message, this.protocolVersion);
      if (body !== null) call.resolve(body);
    } catch (error) {
      call.reject(error instanceof LinkBroken ? error : toSkeinError(error));
    }
  }

  private onStream(connection: NatsConnection, message: Msg): void {
    const dot = message.subject.lastIndexOf(".");
    this.streams
      .get(message.subject.slice(0, dot))
      ?.receive(connection, message.subject.slice(dot + 1), message);
  }

  private break(detail: string): void {
    for (const call of this.calls.values()) call.reject(new LinkBroken(detail));
    for (const stream of this.streams.values()) stream.line.break(detail);
  }
}
