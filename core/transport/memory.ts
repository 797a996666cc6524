/**
 * The in-process transport: the encoded bytes of the real codec and frames, handed over in order on later turns of
 * the event loop. Addresses are `memory:<name>` and mean something only among the users of one transport object.
 * A stream's bytes wait in its two lanes; they are dropped only when the stream breaks, as on a network.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import type { Listening, Transport, TransportOptions } from "./transport.js";
import { transportOver } from "./wire-transport.js";
import {
  LinkBroken,
  noAnswer,
  type ServedListener,
  type ServedStream,
  type Service,
  type StreamListener,
  type Wire,
  type WireKind,
  type WireStream,
} from "./wire.js";

/** Deliveries that may wait in a lane before its writer is told to pause. */
const LANE_LENGTH = 16;

const SCHEME = "memory:";

/** A transport within this process. Throws CONFIG_INVALID on addresses other than `memory:<name>`. */
export function createMemoryTransport(options: TransportOptions): Transport {
  return transportOver(new MemoryNetwork(options), options);
}

class MemoryNetwork implements WireKind {
  private readonly servers = new Map<string, MemoryServer>();
  private unnamed = 0;

  constructor(private readonly options: TransportOptions) {}

  serve(service: Service, wanted: string): Promise<Listening> {
    expectMemoryAddress(wanted);
    const free = wanted === SCHEME || wanted === `${SCHEME}0`;
    const address = free ? `${SCHEME}unnamed-${++this.unnamed}` : wanted;
    if (this.servers.has(address)) {
      const advice = "close the other server first or take another name";
      throw new SkeinError("PORT_IN_USE", `${address} is served already: ${advice}`);
    }
    const server = new MemoryServer(service);
    this.servers.set(address, server);
    const close = (): Promise<void> => {
      if (this.servers.get(address) === server) this.servers.delete(address);
      server.break(`${address} was closed`);
      return Promise.resolve();
    };
    return Promise.resolve({ address, close });
  }

  connect(address: string): Wire {
    expectMemoryAddress(address);
    const streams = new Set<MemoryStream>();
    return {
      address,
      call: (method, request) => {
        const server = this.servers.get(address);
        if (server === undefined) return Promise.reject(nothingServed(address));
        return server.call(method, request, address, this.options.deadlineSeconds);
      },
      open: (method, listener) => {
        const stream = new MemoryStream(listener, streams);
        const server = this.servers.get(address);
        if (server === undefined) stream.break(nothingServed(address).message);
        else server.open(method, stream);
        return stream;
      },
      close: () => {
        for (const stream of streams) stream.break("closed here");
      },
    };
  }
}

function expectMemoryAddress(address: string): void {
  if (address.startsWith(SCHEME)) return;
  throw new SkeinError("CONFIG_INVALID", `transport address: expected memory:<name>, got "${address}"`);
}

function nothingServed(address: string): LinkBroken {
  return new LinkBroken(`nothing is served at ${address}`);
}

class MemoryServer {
  private readonly streams = new Set<MemoryStream>();
  private readonly calls = new Set<(error: LinkBroken) => void>();

  constructor(private readonly service: Service) {}

  call(method: string, request: Uint8Array, address: string, deadlineSeconds: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        this.calls.delete(onBreak);
        settle();
      };
      const onBreak = (error: LinkBroken): void => finish(() => reject(error));
      const timer = setTimeout(() => {
        finish(() => reject(noAnswer(address, method, deadlineSeconds)));
      }, 1000 * deadlineSeconds);
      this.calls.add(onBreak);
      this.service.call(method, new Uint8Array(request)).then(
        (reply) => finish(() => resolve(new Uint8Array(reply))),
        (error: unknown) => finish(() => reject(crossed(error))),
      );
    });
  }

  open(method: string, stream: MemoryStream): void {
    this.streams.add(stream);
    stream.accept((served) => this.service.open(method, served), this.streams);
  }

  break(detail: string): void {
    for (const onBreak of this.calls) onBreak(new LinkBroken(detail));
    for (const stream of this.streams) stream.break(detail);
  }
}

/** What is left of an error after a wire: its code and its message. */
function crossed(error: unknown): SkeinError {
  const { code, message } = toSkeinError(error);
  return new SkeinError(code, message);
}

/** One direction of a stream: its deliveries in order, none before the next turn of the event loop. */
class Lane {
  private readonly waiting: (() => void)[] = [];
  private scheduled = false;
  private paused = false;
  private stopped = false;

  get length(): number {
    return this.waiting.length;
  }

  push(deliver: () => void): void {
    if (this.stopped) return;
    this.waiting.push(deliver);
    this.schedule();
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    this.schedule();
  }

  clear(): void {
    this.waiting.length = 0;
  }

  stop(): void {
    this.stopped = true;
    this.clear();
  }

  private schedule(): void {
    if (this.scheduled || this.paused || this.waiting.length === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (!this.paused) {
        const deliver = this.waiting.shift();
        if (deliver === undefined) return;
        deliver();
      }
    });
  }
}

/** Both ends of one stream. */
class MemoryStream implements WireStream {
  private readonly toServer = new Lane();
  private readonly toClient = new Lane();
  private readonly unwritten = new Set<() => void>();
  private served: ServedListener | null = null;
  private congested = false;
  private gone = false;

  constructor(
    private readonly listener: StreamListener,
    private readonly clientStreams: Set<MemoryStream>,
  ) {
    clientStreams.add(this);
  }

  accept(open: (served: ServedStream) => ServedListener, serverStreams: Set<MemoryStream>): void {
    this.toClient.push(() => this.listener.onOpen());
    const served = open({
      write: (bytes) => this.writeToClient(bytes),
      pause: () => this.toServer.setPaused(true),
      resume: () => this.toServer.setPaused(false),
      end: (error) => this.endFromServer(error),
    });
    this.served = {
      onMessage: (bytes) => served.onMessage(bytes),
      onHalfClose: () => served.onHalfClose(),
      onGone: () => {
        serverStreams.delete(this);
        served.onGone();
      },
    };
  }

  write(bytes: Uint8Array): boolean {
    const copy = new Uint8Array(bytes);
    this.toServer.push(() => {
      this.served?.onMessage(copy);
      if (this.congested && this.toServer.length === 0 && !this.gone) {
        this.congested = false;
        this.listener.onDrain();
      }
    });
    this.congested ||= this.toServer.length >= LANE_LENGTH;
    return !this.congested;
  }

  end(): void {
    this.toServer.push(() => this.served?.onHalfClose());
  }

  cancel(): void {
    this.toClient.stop();
    this.leave();
  }

  break(detail: string): void {
    if (this.gone) return;
    this.toClient.clear();
    this.toClient.push(() => this.listener.onEnd(new LinkBroken(detail)));
    this.leave();
  }

  private writeToClient(bytes: Uint8Array): Promise<void> {
    if (this.gone) return Promise.resolve();
    const copy = new Uint8Array(bytes);
    return new Promise((resolve) => {
      this.unwritten.add(resolve);
      this.toClient.push(() => {
        this.unwritten.delete(resolve);
        this.listener.onMessage(copy);
        resolve();
      });
    });
  }

  private endFromServer(error?: SkeinError): void {
    if (this.gone) return;
    this.toClient.push(() => this.listener.onEnd(error === undefined ? null : crossed(error)));
    this.leave();
  }

  /** Nothing reaches the server any more; what was written to the client still may. */
  private leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.clientStreams.delete(this);
    this.toServer.stop();
    for (const resolve of this.unwritten) resolve();
    setImmediate(() => this.served?.onGone());
  }
}
