/**
 * A lasting connection to a NATS server, made of one connection after another. Always: at most one is up; what hangs
 * on a connection (subscriptions, answers waited for) ends with it and is begun anew by `onUp` on the next; a
 * connection that answers no ping within `keepaliveSeconds` is given up.
 *
 * The client library's own reconnecting is off: it keeps what was written before the break in doubt and, where the
 * network swallows everything, waits for its last write before it closes (NodeTransport._closed of nats 2.29).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, ErrorCode as NatsCode, NatsError, type NatsConnection, type TlsOptions } from "nats";
import { messageOf, SkeinError } from "../../errors.js";
import type { Credentials } from "../../security/credentials.js";
import { settledWithin } from "../../waiting.js";
import { Backoff, closedHere } from "../retry.js";
import type { TransportOptions } from "../transport.js";
import { LinkBroken } from "../wire.js";
import type { RunPlace } from "./address.js";

/** Seconds that the goodbye to a server may take. */
const GOODBYE_SECONDS = 1;
/** Longer than any connection lives: the library's own pings would close it in a way that can hang. */
const NO_PINGS_MS = 2 ** 31 - 1;

export interface LinkHooks {
  /** A connection is there; whoever waits for one gets it once this has resolved. Its error ends the connection. */
  onUp(connection: NatsConnection): Promise<void>;
  /** The connection is gone. */
  onDown(detail: string): void;
  /** The server refuses this side for good; called at most once. */
  onRefused?(error: SkeinError): void;
}

export type LinkOptions = Pick<TransportOptions, "deadlineSeconds" | "keepaliveSeconds"> & {
  readonly credentials: Credentials;
};

interface Waiter {
  readonly resolve: (connection: NatsConnection) => void;
  readonly reject: (error: Error) => void;
}

export class NatsLink {
  /** The last thing heard of the connection. */
  trouble = "no connection";
  private connection: NatsConnection | null = null;
  private refusal: SkeinError | null = null;
  private readonly waiters = new Set<Waiter>();
  private readonly closing = new AbortController();
  private readonly over: Promise<void>;

  constructor(
    readonly place: RunPlace,
    private readonly options: LinkOptions,
    private readonly hooks: LinkHooks,
  ) {
    this.over = this.run();
  }

  /** The present connection; null = none. */
  get current(): NatsConnection | null {
    return this.connection;
  }

  /**
   * The connection, waiting for one until `connectBy` (performance.now() milliseconds). Rejects LinkBroken when there
   * is none by then, UNAUTHORIZED where the server does not let this side in.
   */
  async reach(connectBy: number): Promise<NatsConnection> {
    if (this.refusal !== null) throw this.refusal;
    if (this.closing.signal.aborted) throw closedHere(this.place.address);
    if (this.connection !== null) return this.connection;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (connection) => settle(() => resolve(connection)),
        reject: (error) => settle(() => reject(error)),
      };
      const timer = setTimeout(
        () => waiter.reject(new LinkBroken(this.trouble)),
        Math.max(0, connectBy - performance.now()),
      );
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        act();
      };
      this.waiters.add(waiter);
    });
  }

  /** Gives `connection` up and makes another. */
  restart(connection: NatsConnection, detail: string): void {
    if (connection.isClosed()) return;
    this.trouble = detail;
    void connection.close();
  }

  /** Ends the connection after what was written has gone out. */
  async close(): Promise<void> {
    if (!this.closing.signal.aborted) {
      if (this.connection !== null) await settledWithin(this.connection.flush(), GOODBYE_SECONDS);
      this.closing.abort();
      for (const waiter of this.waiters) waiter.reject(new LinkBroken("closed here"));
      void this.connection?.close();
    }
    // A dial under way cannot be called off; what it opens is closed at once.
    await settledWithin(this.over, GOODBYE_SECONDS);
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    const backoff = new Backoff();
    while (!signal.aborted && this.refusal === null) {
      try {
        const connection = await this.open();
        backoff.reset();
        await this.live(connection);
      } catch (error) {
        this.trouble = messageOf(error);
        if (error instanceof SkeinError) this.refuse(error);
      }
      await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
    }
  }

  private async open(): Promise<NatsConnection> {
    const { server } = this.place;
    const { credentials } = this.options;
    const tls = tlsOptions(this.place, credentials);
    try {
      return await connect({
        ...(credentials.token === null ? {} : { token: credentials.token }),
        ...(tls === null ? {} : { tls }),
        servers: server,
        name: "skein",
        reconnect: false,
        // The system's resolver, which knows /etc/hosts and search domains; the library's own does not.
        resolve: false,
        timeout: 1000 * this.options.deadlineSeconds,
        pingInterval: NO_PINGS_MS,
        noAsyncTraces: true,
      });
    } catch (error) {
      throw refusalOf(error, server) ?? error;
    }
  }

  /** Until the connection is gone. */
  private async live(connection: NatsConnection): Promise<void> {
    const gone = connection.closed();
    const leave = (): void => void connection.close();
    this.closing.signal.addEventListener("abort", leave, { once: true });
    if (this.closing.signal.aborted) leave();
    const pings = this.ping(connection);
    try {
      await Promise.race([this.hooks.onUp(connection), gone]);
      if (!connection.isClosed()) {
        this.connection = connection;
        for (const waiter of this.waiters) waiter.resolve(connection);
        this.trouble = "the connection broke";
        const error = await gone;
        if (error instanceof Error) this.trouble = error.message;
      }
    } finally {
      clearInterval(pings);
      this.closing.signal.removeEventListener("abort", leave);
      this.connection = null;
      this.hooks.onDown(this.trouble);
      await connection.close();
    }
  }

  /** Anything heard counts: behind megabytes of rollouts a pong comes late. */
  private ping(connection: NatsConnection): NodeJS.Timeout {
    let answered = true;
    let heard = 0;
    return setInterval(() => {
      const { inMsgs } = connection.stats();
      if (!answered && inMsgs === heard) {
        this.restart(connection, `no answer to a ping within ${this.options.keepaliveSeconds} s`);
        return;
      }
      heard = inMsgs;
      if (!answered) return;
      answered = false;
      connection.flush().then(
        () => (answered = true),
        () => undefined,
      );
    }, 1000 * this.options.keepaliveSeconds);
  }

  private refuse(error: SkeinError): void {
    this.refusal = error;
    for (const waiter of this.waiters) waiter.reject(error);
    this.hooks.onRefused?.(error);
  }
}

/** null = encrypted only where the server demands it. */
function tlsOptions({ server, encrypted }: RunPlace, { tls }: Credentials): TlsOptions | null {
  if (tls === null && !encrypted) return null;
  // Without it the library has Node.js compare the certificate of an IP address with "localhost".
  const host = server.slice(0, server.lastIndexOf(":"));
  const identity: TlsOptions = tls === null ? {} : { cert: tls.cert, key: tls.key, ca: tls.ca };
  const options: TlsOptions & { readonly host: string } = { ...identity, host };
  return options;
}

/**
 * UNAUTHORIZED where the server will not let this side in, or this side not talk to it, however often they try; else
 * null. Node.js names what is wrong with a certificate in the error's code.
 */
function refusalOf(error: unknown, server: string): SkeinError | null {
  const code = String((error as { code?: unknown }).code);
  const denied = (what: string, advice: string): SkeinError =>
    new SkeinError("UNAUTHORIZED", `${what} (${messageOf(error)}): ${advice}`, { cause: error });
  if (error instanceof NatsError && error.isAuthError()) {
    const advice =
      "give the token that the server's authorization demands (--token-file, or security.tokenFile)";
    return denied(`the NATS server at ${server} does not let this side in`, advice);
  }
  if (code === String(NatsCode.ServerOptionNotAvailable)) {
    const advice = "start it with tls, or this side without certificates and with nats://";
    return denied(`the NATS server at ${server} does not encrypt its connections and this side does`, advice);
  }
  if (/CERT|TLS|SSL|SIGNED|UNABLE_TO_/.test(code)) {
    const advice =
      "each side's certificate must name its host and be signed by an authority of the other's ca";
    return denied(
      `the NATS server at ${server} and this side do not accept one another's certificate`,
      advice,
    );
  }
  return null;
}
