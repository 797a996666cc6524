/**
 * The in-process transport: the encoded bytes of the real codec and frames, handed over in order on later turns of
 * the event loop. Addresses are `memory:<name>` and mean something only among the users of one transport object. */
import { SkeinError } from "../errors.js";
import { crossed, MemoryStream } from "./memory-stream.js";
import type { Listening, Transport, TransportOptions } from "./transport.js";
import { transportOver } from "./wire-transport.js";
import { LinkBroken, noAnswer, type Service, type Wire, type WireKind } from "./wire.js";

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
    const calls = new Set<OnBreak>();
    const { deadlineSeconds } = this.options;
    return {
      address,
      call: (method, request) => {
        const server = this.servers.get(address);
        if (server === undefined) return Promise.reject(nothingServed(address));
        const late = noAnswer(address, method, deadlineSeconds);
        return settled(server.call(method, request), deadlineSeconds, late, [calls, server.calls]);
      },
      open: (method, listener) => {
        const stream = new MemoryStream(listener, streams);
        const server = this.servers.get(address);
        if (server === undefined) stream.break(nothingServed(address).message);
        else server.open(method, stream);
        return stream;
      },
      close: () => {
        for (const onBreak of calls) onBreak(new LinkBroken("closed here"));
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

type OnBreak = (error: LinkBroken) => void;

class MemoryServer {
  readonly calls = new Set<OnBreak>();
  private readonly streams = new Set<MemoryStream>();

  constructor(private readonly service: Service) {}

  async call(method: string, request: Uint8Array): Promise<Uint8Array> {
    try {
      return new Uint8Array(await this.service.call(method, new Uint8Array(request)));
    } catch (error) {
      throw crossed(error);
    }
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

/** The first of the reply, `late` after `seconds`, and a break of either side; `calls` are the calls of each side. */
function settled(
  reply: Promise<Uint8Array>,
  seconds: number,
  late: SkeinError,
  calls: readonly Set<OnBreak>[],
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      for (const side of calls) side.delete(onBreak);
      act();
    };
    const onBreak: OnBreak = (error) => settle(() => reject(error));
    const timer = setTimeout(() => settle(() => reject(late)), 1000 * seconds);
    for (const side of calls) side.add(onBreak);
    reply.then(
      (bytes) => settle(() => resolve(bytes)),
      (error: SkeinError) => settle(() => reject(error)),
    );
  });
}
