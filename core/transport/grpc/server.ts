/**
 * The server's side of the wire over gRPC. Every call must show the run's token where it has one; those of Skein's own
 * services must carry this protocol version too, which the standard health service need not. Closing ends streams first,
 * waits a moment for calls under way and then cuts what is left: clients see a broken connection and try elsewhere or
 * again.
 */
import { createServer } from "node:net";
import {
  Metadata,
  Server,
  type sendUnaryData,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { messageOf, SkeinError, toSkeinError } from "../../errors.js";
import { settledWithin } from "../../waiting.js";
import { protocolMismatch } from "../frames.js";
import { methodsOf } from "../schema.js";
import type { Listening } from "../transport.js";
import type { ServedListener, ServedStream, Service } from "../wire.js";
import {
  formatAddress,
  parseAddress,
  PROTOCOL_KEY,
  reachableHost,
  serverCredentials,
  serverOptions,
  type GrpcSide,
  type HostPort,
} from "./channel.js";
import { asBuffer } from "./client.js";
import { guard } from "./guard.js";
import { closingStatus, statusOf, type FailureStatus } from "./status.js";

/** Seconds that calls under way get to finish when the server closes, and that connections get to break after it. */
const GRACE_SECONDS = 1;

type UnaryCall = ServerUnaryCall<Uint8Array, Uint8Array>;
type DuplexCall = ServerDuplexStream<Uint8Array, Uint8Array>;

/**
 * Serves `service` and `grpc.health.v1`. Throws PORT_IN_USE, or CONFIG_INVALID where the address cannot be listened
 * on.
 */
export async function serveGrpc(service: Service, address: string, side: GrpcSide): Promise<Listening> {
  const { protocolVersion, security } = side;
  const wanted = parseAddress(address);
  await expectFree(wanted);
  const server = new Server({ ...serverOptions(side), interceptors: [guard(side)] });
  const health = new HealthImplementation({ "": "SERVING", [service.name]: "SERVING" });
  const streams = new Set<GrpcServedStream>();
  addService(server, service, protocolVersion, streams);
  health.addToServer(server);
  const port = await bind(server, wanted, serverCredentials(security));
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    health.setStatus("", "NOT_SERVING");
    health.setStatus(service.name, "NOT_SERVING");
    for (const stream of streams) stream.finish(closingStatus());
    const stopped = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    await settledWithin(stopped, GRACE_SECONDS);
    server.forceShutdown();
    // A connection whose peer reads nothing any more breaks only when the operating system gives it up.
    await settledWithin(stopped, GRACE_SECONDS);
  };
  return {
    address: formatAddress({ host: reachableHost(wanted.host), port }),
    close: () => (closed ??= close()),
  };
}

/** Asks the operating system before grpc-js does, which writes its own line to stderr where a port is taken. */
async function expectFree(wanted: HostPort): Promise<void> {
  if (wanted.port === 0) return;
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen(wanted.port, wanted.host, resolve);
    });
    await new Promise((resolve) => probe.close(resolve));
  } catch (error) {
    throw cannotListen(wanted, error);
  }
}

function bind(server: Server, wanted: HostPort, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(formatAddress(wanted), credentials, (error, port) => {
      if (error === null) return resolve(port);
      server.forceShutdown();
      reject(cannotListen(wanted, error));
    });
  });
}

function cannotListen(wanted: HostPort, error: unknown): SkeinError {
  const address = formatAddress(wanted);
  const cause = messageOf(error);
  if (cause.includes("EADDRINUSE")) {
    const advice = "stop the process that listens there, or choose another port (0 = any free one)";
    return new SkeinError("PORT_IN_USE", `${address} is in use: ${advice}`, { cause: error });
  }
  const advice = "use an address of this machine, 0.0.0.0 for all of them, and a port from 1024 up";
  return new SkeinError("CONFIG_INVALID", `cannot listen on ${address} (${cause}): ${advice}`, {
    cause: error,
  });
}

function addService(
  server: Server,
  service: Service,
  protocolVersion: number,
  streams: Set<GrpcServedStream>,
): void {
  const implementation: UntypedServiceImplementation = {};
  const definition = methodsOf(service.name).map(({ name, path, streams: isStream }) => {
    implementation[name] = isStream
      ? (call: DuplexCall) => handleStream(service, name, call, protocolVersion, streams)
      : (call: UnaryCall, reply: sendUnaryData<Uint8Array>) =>
          handleUnary(service, name, call, protocolVersion, reply);
    const bytes = {
      requestSerialize: asBuffer,
      requestDeserialize: asBuffer,
      responseSerialize: asBuffer,
      responseDeserialize: asBuffer,
    };
    // Every stream is served as a two-way one: on the wire, one direction that says little is no other.
    return [name, { path, requestStream: isStream, responseStream: isStream, ...bytes }] as const;
  });
  server.addService(Object.fromEntries(definition), implementation);
}

/** Null where the caller speaks this protocol version. */
function protocolComplaint(metadata: Metadata, protocolVersion: number): SkeinError | null {
  const theirs = metadata.get(PROTOCOL_KEY)[0];
  if (String(theirs) === String(protocolVersion)) return null;
  return protocolMismatch(theirs === undefined ? "none" : String(theirs), protocolVersion);
}

function handleUnary(
  service: Service,
  method: string,
  call: UnaryCall,
  protocolVersion: number,
  reply: sendUnaryData<Uint8Array>,
): void {
  const refuse = (error: unknown): void => reply(statusOf(toSkeinError(error), protocolVersion));
  const complaint = protocolComplaint(call.metadata, protocolVersion);
  if (complaint !== null) return refuse(complaint);
  service.call(method, call.request).then((bytes) => reply(null, bytes), refuse);
}

function handleStream(
  service: Service,
  method: string,
  call: DuplexCall,
  protocolVersion: number,
  streams: Set<GrpcServedStream>,
): void {
  const stream = new GrpcServedStream(call, protocolVersion);
  const complaint = protocolComplaint(call.metadata, protocolVersion);
  if (complaint !== null) return stream.end(complaint);
  streams.add(stream);
  // Tells the client at once that somebody is here, before there is anything to say.
  call.sendMetadata(new Metadata());
  stream.attach(service.open(method, stream), () => streams.delete(stream));
}

class GrpcServedStream implements ServedStream {
  private ended = false;
  private gone = false;
  /** grpc-js never calls back for a write that finds the call cancelled. */
  private readonly unwritten = new Set<() => void>();

  constructor(
    private readonly call: DuplexCall,
    private readonly protocolVersion: number,
  ) {}

  attach(listener: ServedListener, onGone: () => void): void {
    this.call.on("data", (bytes: Uint8Array) => {
      if (!this.ended && !this.gone) listener.onMessage(bytes);
    });
    this.call.on("end", () => {
      if (!this.ended && !this.gone) listener.onHalfClose();
    });
    // Comes after every end of a call, good or bad.
    this.call.once("cancelled", () => {
      this.gone = true;
      for (const resolve of this.unwritten) resolve();
      onGone();
      listener.onGone();
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.gone || this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      const written = (): void => {
        this.unwritten.delete(written);
        resolve();
      };
      this.unwritten.add(written);
      this.call.write(bytes, written);
    });
  }

  pause(): void {
    this.call.pause();
  }

  resume(): void {
    this.call.resume();
  }

  end(error?: SkeinError): void {
    this.finish(error === undefined ? null : statusOf(error, this.protocolVersion));
  }

  /** Ends the call with that status; null = OK. */
  finish(failure: FailureStatus | null): void {
    if (this.ended || this.gone) return;
    this.ended = true;
    if (failure === null) this.call.end();
    else this.call.emit("error", Object.assign(new Error(failure.details), failure));
  }
}
