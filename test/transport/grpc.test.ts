/** What only gRPC has: versions, ports, probes, strangers and their broken frames. */
import { createServer } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import { protoPath } from "grpc-health-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeRollout } from "../../core/transport/codec.js";
import { encodeFrames, frameCodec, split } from "../../core/transport/frames.js";
import { OPEN } from "../../core/security/credentials.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import {
  rolloutAck,
  watchRequest,
  weightsAnnouncement,
  type RolloutAck,
} from "../../core/transport/messages.js";
import type { Closable, Transport, TransportOptions } from "../../core/transport/transport.js";
import {
  eventually,
  failureOf,
  OPTIONS,
  sampleRollout,
  sampleDelivery,
  SmallCoordinator,
  SmallLearner,
} from "./helpers.js";

const ANY = "127.0.0.1:0";
const WATCH = { afterVersion: -1, relayAddress: "" };
const FETCH = { version: 0, oldest: 0, base: null };

const opened: Closable[] = [];
let transport: Transport;

function open<T extends Closable>(closable: T): T {
  opened.push(closable);
  return closable;
}

function make(options: Partial<TransportOptions> = {}, version?: number): Transport {
  return open(createGrpcTransport({ ...OPTIONS, ...options }, OPEN, version));
}

beforeEach(() => {
  transport = make();
});

afterEach(async () => {
  for (const closable of opened.splice(0)) await closable.close();
});

/** A client that knows nothing of Skein. */
function stranger(address: string): Client {
  const client = new Client(address, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
  open({ close: () => Promise.resolve(client.close()) });
  return client;
}

function speaking(version: string): Metadata {
  const metadata = new Metadata();
  metadata.set("skein-protocol", version);
  return metadata;
}

const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

/** A unary call of a stranger: its status, or null where it succeeded. */
function strangersCall(address: string, metadata: Metadata): Promise<ServiceError | null> {
  return new Promise((resolve) => {
    const path = "/skein.v1.Coordinator/Status";
    stranger(address).makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), metadata, (error) =>
      resolve(error),
    );
  });
}

/** A rollout stream of a stranger. */
function strangersStream(address: string, path = "/skein.v1.Learner/PushRollouts", metadata = speaking("1")) {
  const call = stranger(address).makeBidiStreamRequest(path, asIs, asIs, metadata);
  const acks: RolloutAck[] = [];
  const failed = new Promise<ServiceError>((resolve) => call.once("error", resolve));
  call.on("data", (bytes: Buffer) => acks.push(rolloutAck.decode(bytes)));
  return { call, acks, failed };
}

describe("protocol versions", () => {
  it("are compared on every call, and each side names both", async () => {
    const { address } = await transport.serveControl(new SmallCoordinator(), ANY);
    const message = "this side speaks 2, the other side 1: run the same Skein version on both";
    const newer = make({}, 2).connectControl(address);
    expect(await failureOf(newer.status())).toMatchObject({ code: "PROTOCOL_MISMATCH", message });
    expect(await failureOf(newer.fetchWeights(FETCH))).toMatchObject({ code: "PROTOCOL_MISMATCH", message });
    const watch = newer.watchWeights(WATCH, new AbortController().signal)[Symbol.asyncIterator]();
    expect(await failureOf(watch.next())).toMatchObject({ code: "PROTOCOL_MISMATCH", message });
    const learner = await transport.serveRollouts(() => undefined, ANY);
    const sent = make({}, 2).connectRollouts(learner.address).send(sampleRollout(1)).settled;
    expect(await failureOf(sent)).toMatchObject({ code: "PROTOCOL_MISMATCH", message });
  });

  it("are required of strangers", async () => {
    const { address } = await transport.serveControl(new SmallCoordinator(), ANY);
    const without = await strangersCall(address, new Metadata());
    expect(without?.code).toBe(status.FAILED_PRECONDITION);
    expect(without?.details).toContain("the other side none");
    expect((await strangersCall(address, speaking("0")))?.code).toBe(status.FAILED_PRECONDITION);
    expect(await strangersCall(address, speaking("1"))).toBeNull();
  });
});

describe("addresses", () => {
  it("that are taken are named, with what to do", async () => {
    const { address } = await transport.serveControl(new SmallCoordinator(), ANY);
    const error = await failureOf(transport.serveRollouts(() => undefined, address));
    expect(error.code).toBe("PORT_IN_USE");
    expect(error.message).toBe(
      `${address} is in use: stop the process that listens there, or choose another port (0 = any free one)`,
    );
  });

  it("that are not of this machine are refused", async () => {
    const error = await failureOf(transport.serveControl(new SmallCoordinator(), "192.0.2.1:5000"));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain("cannot listen on 192.0.2.1:5000");
  });

  it("of a wildcard are reported so that others can reach them", async () => {
    const { address } = await transport.serveControl(new SmallCoordinator(), "0.0.0.0:0");
    expect(address).not.toContain("0.0.0.0");
    expect((await transport.connectControl(address).status()).runId).toBe("run-1");
  });

  it("of another Skein service are told apart at once", async () => {
    const { address } = await transport.serveRollouts(() => undefined, ANY);
    const error = await failureOf(transport.connectControl(address).status());
    expect(error.code).toBe("REFUSED");
    expect(error.message).toContain("is this the address of the right Skein service?");
  });

  it("of something that is no gRPC server end in UNAVAILABLE", async () => {
    const web = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    open({ close: async () => void (await new Promise((resolve) => web.close(resolve))) });
    const address = `127.0.0.1:${(web.address() as AddressInfo).port}`;
    const client = make({ reconnectSeconds: 0.5 }).connectControl(address);
    expect((await failureOf(client.status())).code).toBe("UNAVAILABLE");
  });
});

describe("the health service", () => {
  it("answers SERVING for the server and for its service, to anybody", async () => {
    const { address } = await transport.serveControl(new SmallCoordinator(), ANY);
    expect(await check(address, "")).toBe("SERVING");
    expect(await check(address, "skein.v1.Coordinator")).toBe("SERVING");
    const learner = await transport.serveRollouts(() => undefined, ANY);
    expect(await check(learner.address, "skein.v1.Learner")).toBe("SERVING");
  });

  const health = loadSync(protoPath, { enums: String })["grpc.health.v1.Health"] as ServiceDefinition;

  function check(address: string, service: string): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = health["Check"]!;
    return new Promise((resolve, reject) => {
      const request = { service };
      stranger(address).makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        (error, reply) => (error === null ? resolve((reply as { status: string }).status) : reject(error)),
      );
    });
  }
});

describe("broken frames", () => {
  const bytes = encodeRollout(sampleRollout(1, 50_000));
  const whole = split(1, bytes, OPTIONS.chunkBytes);
  const encoded = whole.map((frame) => frameCodec.encode(frame));
  const corrupted = whole.map((frame, i) => {
    const payload = new Uint8Array(frame.payload);
    if (i === 1) payload[1000]! ^= 1;
    return frameCodec.encode({ ...frame, payload });
  });
  const cases: { name: string; frames: Uint8Array[]; code: string; says: RegExp }[] = [
    { name: "a flipped bit", frames: corrupted, code: "MESSAGE_CORRUPT", says: /checksum/ },
    {
      name: "two frames that changed places",
      frames: [encoded[0]!, encoded[2]!, encoded[1]!],
      code: "MESSAGE_CORRUPT",
      says: /expected index 1, got 2/,
    },
    {
      name: "an end in the middle of a message",
      frames: encoded.slice(0, -1),
      code: "MESSAGE_CORRUPT",
      says: /the end of the stream/,
    },
    {
      name: "rubbish",
      frames: [Buffer.from("rubbish")],
      code: "MESSAGE_CORRUPT",
      says: /do not parse|expected/,
    },
    {
      name: "another protocol version",
      frames: [frameCodec.encode({ ...whole[0]!, protocolVersion: 7 })],
      code: "PROTOCOL_MISMATCH",
      says: /this side speaks 1, the other side 7/,
    },
    {
      name: "a message over the limit",
      frames: [frameCodec.encode({ ...whole[0]!, totalBytes: OPTIONS.maxMessageBytes + 1 })],
      code: "REFUSED",
      says: /over the limit/,
    },
  ];

  it.each(cases)("with $name are refused, and the server lives on", async ({ frames, code, says }) => {
    const learner = new SmallLearner();
    const { address } = await transport.serveRollouts(learner.onDelivery, ANY);
    const { call, failed } = strangersStream(address);
    for (const frame of frames) call.write(frame);
    call.end();
    const error = await failed;
    expect(error.metadata.get("skein-error-code")).toEqual([code]);
    expect(error.details).toMatch(says);
    expect(learner.received).toHaveLength(0);
    const sent = transport.connectRollouts(address).send(sampleRollout(2)).settled;
    await learner.ackNext();
    await sent;
  });

  it("around a whole message that is no rollout cost only that message", async () => {
    const learner = new SmallLearner();
    const { address } = await transport.serveRollouts(learner.onDelivery, ANY);
    const { call, acks } = strangersStream(address);
    for (const frame of encodeFrames(1, Buffer.from("no rollout"), 1000)) call.write(frame);
    for (const frame of encodeFrames(2, encodeRollout(sampleRollout(2)), 1000)) call.write(frame);
    await learner.ackNext();
    await eventually("both acknowledgements", () => acks.length === 3);
    expect(acks.map((ack) => [ack.messageId, ack.kind])).toEqual([
      [0, "greeting"],
      [1, "refused"],
      [2, "settled"],
    ]);
    expect(acks[1]?.code).toBe("MESSAGE_CORRUPT");
    call.end();
  });

  it("of weights are refused by the coordinator, and the server lives on", async () => {
    const control = new SmallCoordinator();
    const { address } = await transport.serveControl(control, ANY);
    const { call, failed } = strangersStream(address, "/skein.v1.Coordinator/PublishWeights");
    call.write(encodeFrames(1, Buffer.alloc(5000, 7), 1000)[0]!);
    call.end();
    expect((await failed).metadata.get("skein-error-code")).toEqual(["MESSAGE_CORRUPT"]);
    await transport.connectControl(address).publishWeights(sampleDelivery(1), "learner");
    expect(control.newest?.manifest.version).toBe(1);
  });
});

describe("limits of the receiving side", () => {
  it("hold against a sender that allows itself more", async () => {
    const { address } = await make({ maxMessageBytes: 65_536 }).serveRollouts(() => undefined, ANY);
    const error = await failureOf(transport.connectRollouts(address).send(sampleRollout(1, 50_000)).settled);
    expect(error.code).toBe("REFUSED");
    expect(error.message).toContain("over the limit of 65536");
  });

  it("stop the reading of a sender that ignores its credits", async () => {
    const learner = new SmallLearner();
    const { address } = await make({ credits: 2 }).serveRollouts(learner.onDelivery, ANY);
    const { call, acks } = strangersStream(address);
    for (let id = 1; id <= 10; id++) {
      for (const frame of encodeFrames(id, encodeRollout(sampleRollout(id)), 1000)) call.write(frame);
    }
    call.end();
    await eventually("the credits to be used", () => learner.held.length === 2);
    for (let answered = 1; answered <= 10; answered++) {
      await learner.ackNext();
      await eventually("the acknowledgement", () => acks.length === answered + 1);
    }
    expect(learner.mostHeld).toBe(2);
    expect(learner.groups).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("hold back announcements from a watcher that does not read", async () => {
    const control = new SmallCoordinator();
    control.source = "x".repeat(100_000);
    const { address } = await transport.serveControl(control, ANY);
    const { session, stream } = unreadWatch(address);
    const publisher = transport.connectControl(address);
    for (let version = 1; version <= 200; version++)
      await publisher.publishWeights(sampleDelivery(version), "learner");
    expect(control.handedOut.length).toBeLessThan(5);
    let received = Buffer.alloc(0);
    stream.on("data", (bytes: Buffer) => (received = Buffer.concat([received, bytes])));
    await eventually("the newest", () => versionsIn(received).at(-1) === 200);
    expect(versionsIn(received).length).toBeLessThan(6);
    stream.destroy();
    await new Promise<void>((resolve) => session.close(resolve));
  });

  it("forget a watcher that leaves without having read", async () => {
    const control = new SmallCoordinator();
    control.source = "x".repeat(100_000);
    await control.publishWeights(sampleDelivery(1), "learner");
    const { address } = await transport.serveControl(control, ANY);
    const { session } = unreadWatch(address);
    await eventually("the watch to begin", () => control.handedOut.length === 1);
    session.destroy();
    await eventually("the watch to end", () => control.watchesOver === 1);
  });

  /** A watch over plain HTTP/2: a grpc-js client reads into its own memory until it is first asked to. */
  function unreadWatch(address: string) {
    const session = connect(`http://${address}`);
    const stream = session.request({
      ...{ ":method": "POST", ":path": "/skein.v1.Coordinator/WatchWeights" },
      ...{ "content-type": "application/grpc", te: "trailers", "skein-protocol": "1" },
    });
    stream.end(delimited(watchRequest.encode(WATCH)));
    return { session, stream };
  }

  /** As gRPC delimits a message: a flag, its length, itself. */
  function delimited(message: Uint8Array): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.byteLength, 1);
    return Buffer.concat([head, message]);
  }

  /** The versions of the announcements that `received` holds whole. */
  function versionsIn(received: Buffer): number[] {
    const versions: number[] = [];
    for (let at = 0; at + 5 <= received.length; at += 5 + received.readUInt32BE(at + 1)) {
      const end = at + 5 + received.readUInt32BE(at + 1);
      if (end > received.length) break;
      versions.push(weightsAnnouncement.decode(received.subarray(at + 5, end)).version);
    }
    return versions;
  }
});
