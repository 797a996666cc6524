/**
 * Control over NATS: request and reply, without JetStream. Always: a call is answered once, by the reply, by its
 * deadline or by the end of its connection. Streams are no part of it: rollouts and weights travel through JetStream.
 */
import { createInbox, type Msg, type NatsConnection } from "nats";
import { toSkeinError, type SkeinError } from "../../errors.js";
import { closedHere } from "../retry.js";
import type { TransportOptions } from "../transport.js";
import { LinkBroken, noAnswer, unknownMethod, type Wire, type WireStream } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import { NatsLink } from "./link.js";
import { Incoming, nobodyListens, publish } from "./message.js";

/** The subject of a service's calls without the method; the service is named as in gRPC. */
export function callSubject(place: RunPlace, serviceName: string): string {
  return `${place.prefix}.call.${serviceName.split(".").at(-1) ?? serviceName}`;
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
  private inbox = "";
  private lastCall = 0;
  private closed = false;

  /** Throws CONFIG_INVALID on an address of another form. */
  constructor(
    address: string,
    private readonly serviceName: string,
    private readonly options: TransportOptions,
    private readonly protocolVersion: number,
  ) {
    const place = parsePlace(address);
    this.address = place.address;
    this.link = new NatsLink(place, options, {
      onUp: (connection) => this.listen(connection),
      onDown: (detail) => this.fail(new LinkBroken(detail)),
    });
  }

  async call(method: string, request: Uint8Array, connectBy: number): Promise<Uint8Array> {
    if (this.closed) throw closedHere(this.address);
    const connection = await this.link.reach(connectBy);
    return new Promise((resolve, reject) => {
      const reply = `${this.inbox}.${++this.lastCall}`;
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
        const subject = `${callSubject(this.link.place, this.serviceName)}.${method}`;
        publish(connection, { subject, reply, body: request }, chunkBytes, this.protocolVersion);
      } catch (error) {
        call.reject(connection.isClosed() ? new LinkBroken("the connection broke") : toSkeinError(error));
      }
    });
  }

  open(method: string): WireStream {
    throw unknownMethod(this.serviceName, method);
  }

  close(): void {
    this.closed = true;
    this.fail(new LinkBroken("closed here"));
    void this.link.close();
  }

  private listen(connection: NatsConnection): Promise<void> {
    this.inbox = createInbox();
    connection.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.onReply(message);
        else this.link.restart(connection, error.message);
      },
    });
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
      call.reject(toSkeinError(error));
    }
  }

  private fail(error: LinkBroken): void {
    for (const call of this.calls.values()) call.reject(error);
  }
}
