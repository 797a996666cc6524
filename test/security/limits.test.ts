/** What one connection may ask of a server: calls a second, streams at a time, and no time for saying nothing. */
import { connect, type ClientHttp2Stream } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { CallRate } from "../../core/security/call-rate.js";
import { OPEN } from "../../core/security/credentials.js";
import { encodeFrames } from "../../core/transport/frames.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import type { Closable, TransportOptions } from "../../core/transport/transport.js";
import { eventually, OPTIONS, SmallCoordinator, SmallLearner } from "../transport/helpers.js";

const opened: Closable[] = [];

afterEach(async () => {
  for (const closable of opened.splice(0)) await closable.close();
});

function make(options: Partial<TransportOptions> = {}, maxCallsPerSecond = 1_000_000) {
  const transport = createGrpcTransport({ ...OPTIONS, ...options }, { ...OPEN, maxCallsPerSecond });
  opened.push(transport);
  return transport;
}

describe("the call rate", () => {
  it("lets one second's worth through at once, and then as many as time allows", () => {
    let now = 5000;
    const rate = new CallRate(10, () => now);
    const allowed = (calls: number): number =>
      Array.from({ length: calls }, () => rate.allows("a")).filter((allows) => allows).length;
    expect(allowed(30)).toBe(10);
    now += 300;
    expect(allowed(30)).toBe(3);
    now += 60_000;
    expect(allowed(30)).toBe(10);
  });

  it("counts each connection for itself", () => {
    const rate = new CallRate(1, () => 0);
    expect([rate.allows("a"), rate.allows("b"), rate.allows("a"), rate.allows("b")]).toEqual([
      ...[true, true, false, false],
    ]);
  });

  it("forgets connections that are quiet, but never one that is over its limit", () => {
    let now = 0;
    const rate = new CallRate(2, () => now);
    for (let i = 0; i < 5000; i++) {
      now += 10;
      rate.allows(`connection ${i}`);
    }
    expect(rate.size).toBeLessThan(1200);
    const busy = Array.from({ length: 3000 }, (_, i) => {
      const other = rate.allows(`other ${i}`);
      return other && rate.allows("busy");
    });
    expect(busy.filter((allowed) => allowed)).toHaveLength(2);
  });

  it("makes a client slow down, and every call of it comes through", async () => {
    const { address } = await make({}, 20).serveControl(new SmallCoordinator(), "127.0.0.1:0");
    const client = make().connectControl(address);
    const replies = await Promise.all(Array.from({ length: 40 }, () => client.status()));
    expect(replies.every(({ runId }) => runId === "run-1")).toBe(true);
  });

  it("tells a client that goes on too long what it was over", async () => {
    const { address } = await make({}, 1).serveControl(new SmallCoordinator(), "127.0.0.1:0");
    const client = make({ reconnectSeconds: 0.5 }).connectControl(address);
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => client.status()));
    const reasons = results.flatMap((result) =>
      result.status === "rejected" ? [String(result.reason)] : [],
    );
    expect(reasons.length).toBeGreaterThan(20);
    expect(reasons[0]).toContain("over 1 calls a second on this connection (security.maxCallsPerSecond)");
  });
});

/** As gRPC delimits a message: a flag, its length, itself. */
function delimited(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

describe("a stranger's connection", () => {
  /** A stream over plain HTTP/2, and the gRPC status that ends it. */
  function stranger(address: string) {
    const session = connect(`http://${address}`);
    session.on("error", () => undefined);
    opened.push({ close: () => Promise.resolve(session.destroy()) });
    const open = (method: string): { stream: ClientHttp2Stream; ended: Promise<unknown> } => {
      const stream = session.request({
        ...{ ":method": "POST", ":path": `/skein.v1.${method}` },
        ...{ "content-type": "application/grpc", te: "trailers", "skein-protocol": "1" },
      });
      const ended = new Promise((resolve) => {
        const note = (headers: Record<string, unknown>): void => {
          if (headers["grpc-status"] !== undefined) resolve(headers["skein-error-code"]);
        };
        stream.on("response", note);
        stream.on("trailers", note);
        stream.on("error", () => undefined);
      });
      return { stream, ended };
    };
    return { session, open };
  }

  it("may not hold calls and streams open without a word", async () => {
    const transport = make({ deadlineSeconds: 0.3 });
    const control = new SmallCoordinator();
    const { address } = await transport.serveControl(control, "127.0.0.1:0");
    const data = await transport.serveRollouts(new SmallLearner().onDelivery, "127.0.0.1:0");
    const { open } = stranger(address);
    for (const method of ["Status", "Acquire", "WatchWeights", "FetchWeights", "PublishWeights"]) {
      expect(await open(`Coordinator/${method}`).ended).toBe("UNAVAILABLE");
    }
    expect(await stranger(data.address).open("Learner/PushRollouts").ended).toBe("UNAVAILABLE");
    expect(control.asked).toEqual([]);
  });

  it("may not stop in the middle of a message", async () => {
    const transport = make({ deadlineSeconds: 0.3 });
    const control = new SmallCoordinator();
    const learner = new SmallLearner();
    const { address } = await transport.serveControl(control, "127.0.0.1:0");
    const data = await transport.serveRollouts(learner.onDelivery, "127.0.0.1:0");
    const [first] = encodeFrames(1, new Uint8Array(10_000), 1000);
    for (const [at, method] of [
      [address, "Coordinator/PublishWeights"],
      [data.address, "Learner/PushRollouts"],
    ] as const) {
      const { stream, ended } = stranger(at).open(method);
      stream.write(delimited(first!));
      expect(await ended).toBe("UNAVAILABLE");
    }
    expect(learner.received).toEqual([]);
    expect(control.newest).toBeNull();
  });

  it("has a bounded number of streams and of bytes that wait to be read", async () => {
    const { address } = await make().serveControl(new SmallCoordinator(), "127.0.0.1:0");
    const { session, open } = stranger(address);
    open("Coordinator/WatchWeights");
    await eventually("the server's settings", () => session.remoteSettings.maxConcurrentStreams === 512);
    await eventually("the server's window", () => session.remoteSettings.initialWindowSize === 2 ** 20);
  });
});
