/** The client's side of the wire over gRPC. */
import {
  Client,
  connectivityState,
  status,
  type ClientDuplexStream,
  type ClientUnaryCall,
  type StatusObject,
} from "@grpc/grpc-js";
import { methodsOf } from "../schema.js";
import { closedHere } from "../retry.js";
import type { TransportOptions } from "../transport.js";
import {
  LinkBroken,
  noAnswer,
  unknownMethod,
  type StreamListener,
  type Wire,
  type WireStream,
} from "../wire.js";
import { clientCredentials, clientOptions, parseAddress, protocolMetadata } from "./channel.js";
import { failureOf } from "./status.js";

/** grpc-js is given bytes and gives bytes: messages are encoded and decoded above the wire. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Throws CONFIG_INVALID unless `address` is `host:port`. */
export class GrpcWire implements Wire {
  private readonly client: Client;
  private readonly paths: ReadonlyMap<string, string>;
  private readonly calls = new Set<ClientUnaryCall>();
  private readonly streams = new Set<GrpcClientStream>();
  private closed = false;

  constructor(
    readonly address: string,
    private readonly serviceName: string,
    private readonly options: TransportOptions,
    private readonly protocolVersion: number,
  ) {
    parseAddress(address);
    this.paths = new Map(methodsOf(serviceName).map(({ name, path }) => [name, path]));
    this.client = new Client(address, clientCredentials(), clientOptions(options));
  }

  call(method: string, request: Uint8Array, connectBy: number): Promise<Uint8Array> {
    if (this.closed) return Promise.reject(closedHere(this.address));
    return new Promise((resolve, reject) => {
      const where = { address: this.address, method, protocolVersion: this.protocolVersion };
      const call = this.client.makeUnaryRequest(
        this.path(method),
        asBuffer,
        asBuffer,
        request,
        protocolMetadata(this.protocolVersion),
        { deadline: Date.now() + 1000 * this.options.deadlineSeconds },
        (error, reply) => {
          clearTimeout(timer);
          this.calls.delete(call);
          if (error === null && reply !== undefined) resolve(reply);
          else if (error === null) reject(new LinkBroken("no reply"));
          else if (error.code !== status.DEADLINE_EXCEEDED) reject(failureOf(error, where));
          else if (!this.connected()) reject(new LinkBroken("no connection"));
          else reject(noAnswer(this.address, method, this.options.deadlineSeconds));
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
    const where = { address: this.address, method, protocolVersion: this.protocolVersion };
    // On the wire a stream in one direction is a two-way stream in which one side says little.
    const call = this.client.makeBidiStreamRequest(
      this.path(method),
      asBuffer,
      asBuffer,
      protocolMetadata(this.protocolVersion),
    );
    const stream = new GrpcClientStream(call, listener, (failure) => failureOf(failure, where), this.streams);
    this.streams.add(stream);
    return stream;
  }

  close(): void {
    this.closed = true;
    for (const call of this.calls) call.cancel();
    for (const stream of this.streams) stream.break("closed here");
    this.client.close();
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
    failure: (status: StatusObject) => ReturnType<typeof failureOf>,
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
      if (result.code !== status.OK) this.finish(failure(result));
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

  private finish(error: ReturnType<typeof failureOf> | null): void {
    if (this.over) return;
    this.over = true;
    this.siblings.delete(this);
    this.listener.onEnd(error);
  }
}
