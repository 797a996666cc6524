/** Who may talk to a gRPC server, over real sockets: every wrong caller gets one clear error, at once. */
import { Client, credentials as grpc, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { OPEN, type Credentials, type Security } from "../../core/security/credentials.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import type { Closable, Transport } from "../../core/transport/transport.js";
import {
  failureOf,
  OPTIONS,
  sampleDelivery,
  sampleRollout,
  SmallCoordinator,
  SmallLearner,
} from "../transport/helpers.js";
import { authority, issue, type Authority } from "./certificates.js";

const TOKEN = "a token of this very run".replaceAll(" ", "-");
const ca = authority("the authority");
const stranger = authority("a stranger");

const opened: Closable[] = [];

afterEach(async () => {
  for (const closable of opened.splice(0)) await closable.close();
});

function security(credentials: Partial<Credentials>, mutual = false): Security {
  return { ...OPEN, mutual, credentials: { tls: null, token: null, ...credentials } };
}

function identity(hosts = ["127.0.0.1", "localhost"], issuer: Authority = ca, trusted: Authority = ca) {
  return { tls: { ...issue(issuer, hosts), ca: trusted.cert } };
}

/** Patient for a minute: an error that comes is not one of patience. */
function make(side: Security): Transport {
  const transport = createGrpcTransport({ ...OPTIONS, reconnectSeconds: 60, deadlineSeconds: 30 }, side);
  opened.push(transport);
  return transport;
}

async function serve(side: Security) {
  const transport = make(side);
  const control = new SmallCoordinator();
  const learner = new SmallLearner();
  const { address } = await transport.serveControl(control, "127.0.0.1:0");
  const data = await transport.serveRollouts((delivery) => {
    learner.onDelivery(delivery);
    delivery.ack();
  }, "127.0.0.1:0");
  return { address, data: data.address, control, learner };
}

/** What a client of this kind is told on a call, a watch and a push. */
async function refusals(served: { address: string; data: string }, side: Security) {
  const client = make(side).connectControl(served.address);
  const watches = make(side).connectControl(served.address);
  const announced = watches.watchWeights(
    { afterVersion: -1, relayAddress: "" },
    new AbortController().signal,
  );
  const watch = announced[Symbol.asyncIterator]();
  const sender = make(side).connectRollouts(served.data);
  return Promise.all([
    failureOf(client.status()),
    failureOf(watch.next()),
    failureOf(sender.send(sampleRollout(1)).settled),
  ]);
}

/** All of it works: a call, weights there and back, a rollout. */
async function expectAllWell(served: Awaited<ReturnType<typeof serve>>, side: Security): Promise<void> {
  const client = make(side).connectControl(served.address);
  expect((await client.status()).runId).toBe("run-1");
  await client.publishWeights(sampleDelivery(3), "learner");
  expect(served.control.newest?.manifest.version).toBe(3);
  await make(side).connectRollouts(served.data).send(sampleRollout(1)).settled;
  expect(served.learner.groups).toEqual([1]);
}

describe("encrypted connections", () => {
  it("carry everything, by address and by name", async () => {
    const served = await serve(security(identity()));
    await expectAllWell(served, security(identity(["client"])));
    const named = served.address.replace("127.0.0.1", "localhost");
    const client = make(security(identity())).connectControl(named);
    expect((await client.status()).runId).toBe("run-1");
  });

  it("carry everything between sides that both show certificates", async () => {
    await expectAllWell(await serve(security(identity(), true)), security(identity(["client"]), true));
  });

  const cases: [title: string, server: Security, client: Security, says: RegExp][] = [
    [
      "plain text against TLS",
      security(identity()),
      OPEN,
      /^127\.0\.0\.1:\d+ encrypts its connections and this side does not: give this side its certificates/,
    ],
    [
      "plain text against mutual TLS",
      security(identity(), true),
      OPEN,
      /^127\.0\.0\.1:\d+ encrypts its connections and this side does not/,
    ],
    [
      "TLS against plain text",
      OPEN,
      security(identity()),
      /^127\.0\.0\.1:\d+ does not encrypt its connections and this side does/,
    ],
    [
      "a server of another authority",
      security(identity(["127.0.0.1"], stranger, stranger)),
      security(identity()),
      /^the certificate of 127\.0\.0\.1:\d+ is not accepted \(.*\): it must name that host and be signed/,
    ],
    [
      "a server whose certificate names another host",
      security(identity(["elsewhere", "10.1.2.3"])),
      security(identity()),
      /^the certificate of 127\.0\.0\.1:\d+ is not accepted \(.*altnames.*10\.1\.2\.3.*\)/,
    ],
    [
      "a client of another authority, where certificates are mutual",
      security(identity(), true),
      security(identity(["client"], stranger)),
      /^127\.0\.0\.1:\d+ does not accept this side's certificate/,
    ],
  ];

  it.each(cases)("tell %s at once", async (_, server, client, says) => {
    const served = await serve(server);
    for (const error of await refusals(served, client)) {
      expect(error.code).toBe("UNAUTHORIZED");
      expect(error.message).toMatch(says);
    }
    expect(served.control.watchedFrom).toEqual([]);
    expect(served.learner.received).toEqual([]);
  });

  it("are not made with a client without any certificate, where certificates are mutual", async () => {
    const { address } = await serve(security(identity(), true));
    const named = address.replace("127.0.0.1", "localhost");
    const bare = new Client(named, grpc.createSsl(Buffer.from(ca.cert)));
    opened.push({ close: () => Promise.resolve(bare.close()) });
    expect((await strangersCall(bare, new Metadata()))?.code).toBe(status.UNAVAILABLE);
  });
});

describe("the token", () => {
  it("is demanded and shown on every call and stream", async () => {
    await expectAllWell(await serve(security({ token: TOKEN })), security({ token: TOKEN }));
    await expectAllWell(
      await serve(security({ ...identity(), token: TOKEN })),
      security({ ...identity(), token: TOKEN }),
    );
  });

  it.each([
    [
      "missing",
      null,
      "this call has no token: give the run's token file (--token-file, or security.tokenFile)",
    ],
    [
      "another",
      `${TOKEN}x`,
      "the token of this call is not the run's: give the run's token file (--token-file, or security.tokenFile)",
    ],
  ])("is missed at once where it is %s", async (_, token, message) => {
    const served = await serve(security({ token: TOKEN }));
    for (const error of await refusals(served, security({ token }))) {
      expect(error).toMatchObject({ code: "UNAUTHORIZED", message });
    }
    expect(served.control.watchedFrom).toEqual([]);
    expect(served.learner.received).toEqual([]);
  });

  it("is not asked for by a server without one", async () => {
    await expectAllWell(await serve(OPEN), security({ token: TOKEN }));
  });

  it("is demanded of health checks too", async () => {
    const { address } = await serve(security({ token: TOKEN }));
    const client = new Client(address, grpc.createInsecure());
    opened.push({ close: () => Promise.resolve(client.close()) });
    const check = "/grpc.health.v1.Health/Check";
    expect((await strangersCall(client, new Metadata(), check))?.code).toBe(status.UNAUTHENTICATED);
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${TOKEN}`);
    expect(await strangersCall(client, metadata, check)).toBeNull();
  });
});

const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

function strangersCall(
  client: Client,
  metadata: Metadata,
  path = "/skein.v1.Coordinator/Status",
): Promise<ServiceError | null> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), metadata, (error) => resolve(error));
  });
}
