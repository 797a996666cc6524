/**
 * A service's side door: GET /metrics for Prometheus, GET /healthz for Kubernetes and people. Where the run has a token
 * or wants certificates of clients, a caller without them learns from /healthz whether the service is well, as probes
 * must, and nothing else.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { TLSSocket } from "node:tls";
import { SkeinError, messageOf } from "../errors.js";
import { CallRate } from "../security/call-rate.js";
import type { Security } from "../security/credentials.js";
import { tokenCheck } from "../security/token.js";
import type { MetricsRegistry } from "./metrics.js";

export interface Health {
  readonly ok: boolean;
  /** What stands behind the verdict; sent as JSON. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface TelemetryOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly registry: MetricsRegistry;
  /** Asked at each /healthz; throwing counts as not healthy. */
  readonly health: () => Health;
  readonly security: Security;
}

export interface TelemetryServer {
  /** `host:port`, with the port that was picked. */
  readonly address: string;
  /** `http://host:port`, `https://host:port` where the run has certificates. */
  readonly url: string;
  /** Stops listening and drops open connections at once. */
  close(): Promise<void>;
}

/** Connections at a time: a few probes and scrapers. */
const MOST_CONNECTIONS = 256;

const JSON_TYPE = "application/json; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(body);
}

function healthOf(ask: () => Health): Health {
  try {
    return ask();
  } catch (error) {
    return { ok: false, detail: { error: messageOf(error) } };
  }
}

/** Whether a caller may see everything. */
type Trusts = (request: IncomingMessage) => boolean;

function trustsOf({ credentials, mutual }: Security): Trusts {
  const shows = tokenCheck(credentials.token);
  return ({ headers, socket }) =>
    shows(headers.authorization) && (!mutual || (socket instanceof TLSSocket && socket.authorized));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: TelemetryOptions,
  trusted: boolean,
): Promise<void> {
  if (request.method !== "GET") {
    response.setHeader("allow", "GET");
    reply(response, 405, TEXT_TYPE, `${request.method ?? ""} is not allowed here; use GET\n`);
    return;
  }
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  if (path === "/healthz") {
    const { ok, detail } = healthOf(options.health);
    const verdict = trusted ? { ok, detail } : { ok };
    reply(response, ok ? 200 : 503, JSON_TYPE, `${JSON.stringify(verdict)}\n`);
  } else if (!trusted) {
    response.setHeader("www-authenticate", "Bearer");
    reply(response, 401, TEXT_TYPE, "This run wants its token, and its certificate where it checks them\n");
  } else if (path === "/metrics") {
    reply(response, 200, options.registry.contentType, await options.registry.metrics());
  } else {
    reply(response, 404, TEXT_TYPE, "Nothing here; try /metrics or /healthz\n");
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): SkeinError {
  const where = `telemetry: cannot listen on ${host}:${port}`;
  if (error.code === "EADDRINUSE") {
    const remedy = "stop the process that holds it, or choose another port (0 = any free one)";
    return new SkeinError("PORT_IN_USE", `${where}: the port is in use; ${remedy}`, { cause: error });
  }
  const remedy = "choose an address of this machine (127.0.0.1, 0.0.0.0) and a port you may open";
  return new SkeinError("CONFIG_INVALID", `${where}: ${messageOf(error)}; ${remedy}`, { cause: error });
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(listenError(error, host, port));
    server.once("error", failed);
    server.listen(port, host, () => {
      server.off("error", failed);
      resolve(server.address() as AddressInfo);
    });
  });
}

/**
 * Serves until `close()`. Throws PORT_IN_USE where the port is taken and CONFIG_INVALID where the address cannot be
 * used at all.
 */
export async function serveTelemetry(options: TelemetryOptions): Promise<TelemetryServer> {
  const { security } = options;
  const trusts = trustsOf(security);
  const rate = new CallRate(security.maxCallsPerSecond);
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const { remoteAddress, remotePort } = request.socket;
    if (!rate.allows(`${remoteAddress}:${remotePort}`)) {
      reply(response, 429, TEXT_TYPE, "Too many requests on this connection (security.maxCallsPerSecond)\n");
      return;
    }
    answer(request, response, options, trusts(request)).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else reply(response, 500, TEXT_TYPE, `${messageOf(error)}\n`);
    });
  };
  const { tls } = security.credentials;
  // Probes have no certificate: one is asked for, and its lack decides what may be seen.
  const asked = { requestCert: security.mutual, rejectUnauthorized: false };
  const server: Server = tls === null ? createServer(serve) : createSecureServer({ ...tls, ...asked }, serve);
  server.maxConnections = MOST_CONNECTIONS;
  const { port } = await listen(server, options.host, options.port);
  const address = `${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;
  return {
    address,
    url: `${tls === null ? "http" : "https"}://${address}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
