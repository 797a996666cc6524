/** The client's side of the wire over gRPC. */
import {
  Client,
  connectivityState,
  status,
  type ClientDuplexStream,
  type ClientUnaryCall,
  type StatusObject,
} from "@grpc/grpc-js";
import { SkeinError } from "../../errors.js";
import { diagnose } from "../../security/diagnose.js";
import { methodsOf } from "../schema.js";
import { closedHere } from "../retry.js";
import {
  LinkBroken,
  noAnswer,
  unknownMethod,
  type StreamListener,
  type Wire,
  type WireStream,
} from "../wire.js";
import {
  callMetadata,
  clientCredentials,
  clientOptions,
  parseAddress,
  type GrpcSide,
  type HostPort,
} from "./channel.js";
import { failureOf } from "./status.js";

/** grpc-js is given bytes and gives bytes: messages are encoded and decoded above the wire. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Failure = LinkBroken | SkeinError;

/** Longest look at why a first connection failed. */
const DIAGNOSIS_MS = 3000;

/** Throws CONFIG_INVALID unless `address` is `host:port`. */
export class GrpcWire implements Wire {
  private readonly client: Client;
  private readonly paths: ReadonlyMap<string, string>;
  private readonly calls = new Set<ClientUnaryCall>();
  private readonly streams = new Set<GrpcClientStream>();
  private readonly server: HostPort;
  /** An answer has come: what breaks from now on is the network's doing. */
  private heard = false;
  private diagnosis: Promise<SkeinError | null> | null = null;
  private closed = false;

  constructor(
    readonly address: string,
    private readonly serviceName: string,
    private readonly side: GrpcSide,
  ) {
    this.server = parseAddress(address);
    this.paths = new Map(methodsOf(serviceName).map(({ name, path }) => [name, path]));
    this.client = new Client(
      address,
      clientCredentials(side.security, this.server),
      clientOptions(side, this.server),
    );
  }

  call(method: string, request: Uint8Array, connectBy: number): Promise<Uint8Array> {
    if (this.closed) return Promise.reject(closedHere(this.address));
    return new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        this.path(method),
        asBuffer,
        asBuffer,
        request,
        callMetadata(this.side),
        { deadline: Date.now() + 1000 * this.side.deadlineSeconds },
        (error, reply) => {
          clearTimeout(timer);
          this.calls.delete(call);
          if (error === null && reply !== undefined) {
            this.heard = true;
            resolve(reply);
          } else {
            void this.explained(this.failure(method, error)).then(reject);
          }
        },
      );
      this.calls.add(call);
      const timer = this.connected()
        ? undefined
        : setTimeout(
            () => {
              if (!this.connected()) call.cancel();
            },
            Math.max(0, connectBy - performance.now()),
          );
    });
  }

  open(method: string, listener: StreamListener): WireStream {
    if (this.closed) throw closedHere(this.address);
    // On the wire a stream in one direction is a two-way stream in which one side says little.
    const call = this.client.makeBidiStreamRequest(
      this.path(method),
      asBuffer,
      asBuffer,
      callMetadata(this.side),
    );
    call.once("metadata", () => (this.heard = true));
    const failed = (result: StatusObject) => this.explained(this.failure(method, result));
    const stream = new GrpcClientStream(call, listener, failed, this.streams);
    this.streams.add(stream);
    return stream;
  }

  close(): void {
    this.closed = true;
    for (const call of this.calls) call.cancel();
    for (const stream of this.streams) stream.break("closed here");
    this.client.close();
  }

  private failure(method: string, result: StatusObject | null): Failure {
    const { address, side } = this;
    if (result === null) return new LinkBroken("no reply");
    if (result.code !== status.DEADLINE_EXCEEDED) {
      return failureOf(result, { address, method, protocolVersion: side.protocolVersion });
    }
    return this.connected()
      ? noAnswer(address, method, side.deadlineSeconds)
      : new LinkBroken("no connection");
  }

  /** `failure`, or what TLS has to say where no answer ever came: trying again would not help then. */
  private async explained(failure: Failure): Promise<Failure> {
    if (failure instanceof SkeinError) this.heard = true;
    if (this.heard || this.closed) return failure;
    this.diagnosis ??= diagnose(this.server, this.side.security.credentials, DIAGNOSIS_MS).finally(() => {
      this.diagnosis = null;
    });
    return (await this.diagnosis) ?? failure;
  }

  private connected(): boolean {
    return !this.closed && this.client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  private path(method: string): string {
    const path = this.paths.get(method);
    if (path === undefined) throw unknownMethod(this.serviceName, method);
    return path;
  }
}

class GrpcClientStream implements WireStream {
  private over = false;

  constructor(
    private readonly call: ClientDuplexStream<Uint8Array, Uint8Array>,
    private readonly listener: StreamListener,
    failed: (status: StatusObject) => Promise<Failure>,
    private readonly siblings: Set<GrpcClientStream>,
  ) {
    call.on("metadata", () => {
      if (!this.over) listener.onOpen();
    });
    call.on("data", (bytes: Uint8Array) => {
      if (!this.over) listener.onMessage(bytes);
    });
    call.on("drain", () => {
      if (!this.over) listener.onDrain();
    });
    // A failed call emits "error", which must have a listener, and then "status", which says all.
    call.on("error", () => undefined);
    call.on("status", (result: StatusObject) => {
      if (result.code !== status.OK) void failed(result).then((error) => this.finish(error));
      else if (call.readableEnded) this.finish(null);
      else call.once("end", () => this.finish(null));
    });
  }

  write(bytes: Uint8Array): boolean {
    // False once over: nobody will ask for more.
    return !this.over && this.call.write(bytes);
  }

  end(): void {
    if (!this.over) this.call.end();
  }

  cancel(): void {
    this.over = true;
    this.siblings.delete(this);
    this.call.cancel();
  }

  break(detail: string): void {
    if (this.over) return;
    this.cancel();
    this.listener.onEnd(new LinkBroken(detail));
  }

  private finish(error: Failure | null): void {
    if (this.over) return;
    this.over = true;
    this.siblings.delete(this);
    this.listener.onEnd(error);
  }
}
