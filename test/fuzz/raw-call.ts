/** gRPC calls made by hand over HTTP/2, so that any byte of them can be wrong. */
import type { IncomingHttpHeaders } from "node:http";
import { connect, constants, type ClientHttp2Session } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";

export interface Answer {
  /** gRPC status; null = the stream was cut without one. */
  readonly status: number | null;
  /** Skein's error code; empty = none. */
  readonly code: string;
  readonly message: string;
  /** The deadline passed first. */
  readonly late: boolean;
}

export type Headers = Readonly<Record<string, string>>;

/** As gRPC delimits a message: a flag, its length, itself. */
export function delimited(message: Uint8Array, flag = 0, length = message.byteLength): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

function one(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? "";
}

export class RawClient {
  private session: ClientHttp2Session | null = null;

  constructor(private readonly address: string) {}

  /** Sends `body` and waits for the end of the call, `patience` milliseconds; then it is left. */
  async call(path: string, headers: Headers, body: Uint8Array, patience: number): Promise<Answer> {
    const stream = this.connected().request({
      ...{ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" },
      ...headers,
    });
    const seen = { status: null as number | null, code: "", message: "" };
    const note = (received: IncomingHttpHeaders): void => {
      if (received["grpc-status"] === undefined) return;
      seen.status = Number(received["grpc-status"]);
      seen.code = one(received["skein-error-code"]);
      seen.message = decodeURIComponent(one(received["grpc-message"]));
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("error", () => undefined);
    stream.resume();
    const over = new Promise<boolean>((resolve) => stream.once("close", () => resolve(false)));
    stream.end(body);
    const left = new AbortController();
    const deadline = pause(patience, true, { signal: left.signal }).catch(() => true);
    const late = await Promise.race([over, deadline]);
    left.abort();
    if (late) stream.close(constants.NGHTTP2_CANCEL);
    return { ...seen, late };
  }

  close(): void {
    this.session?.destroy();
  }

  private connected(): ClientHttp2Session {
    if (this.session === null || this.session.closed || this.session.destroyed) {
      // MB. What waits to be written counts, and calls are refused on this side beyond it.
      const session = connect(`http://${this.address}`, { maxSessionMemory: 1024 });
      session.on("error", () => undefined);
      this.session = session;
    }
    return this.session;
  }
}
