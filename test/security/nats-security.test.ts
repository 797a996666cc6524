/** Who may talk to a NATS server that demands a token or certificates: every wrong side gets one clear error. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { OPEN, type Credentials } from "../../core/security/credentials.js";
import { createNatsTransport } from "../../core/transport/nats/index.js";
import type { Transport } from "../../core/transport/transport.js";
import { natsMissing, NatsServer } from "../nats-server.js";
import { failureOf, OPTIONS, sampleRollout, SmallCoordinator, SmallLearner } from "../transport/helpers.js";
import { authority, issue, type Authority } from "./certificates.js";

const TOKEN = "a-token-of-this-very-run";
const ca = authority("the authority");
const stranger = authority("a stranger");
const folder = mkdtempSync(join(tmpdir(), "skein-nats-tls-"));
const opened: Transport[] = [];

if (natsMissing !== null) process.stderr.write(`security over NATS: ${natsMissing}\n`);

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const transport of opened.splice(0)) await transport.close();
});

function identity(issuer: Authority = ca, trusted: Authority = ca): Partial<Credentials> {
  return { tls: { ...issue(issuer, ["127.0.0.1", "localhost"]), ca: trusted.cert } };
}

/** Patient for a minute: an error that comes is not one of patience. */
function make(credentials: Partial<Credentials>): Transport {
  const options = { ...OPTIONS, reconnectSeconds: 60, nats: { maxBytes: 2 ** 28, replicas: 1 } };
  const security = { ...OPEN, credentials: { tls: null, token: null, ...credentials } };
  const transport = createNatsTransport({ ...options, notice: () => undefined }, security);
  opened.push(transport);
  return transport;
}

/** Calls and rollouts both get through. */
async function expectAdmitted(url: string, credentials: Partial<Credentials>): Promise<void> {
  const address = `${url}/admitted`;
  const transport = make(credentials);
  await transport.serveControl(new SmallCoordinator(), address);
  expect((await transport.connectControl(address).status()).runId).toBe("run-1");
  const learner = new SmallLearner();
  await transport.serveRollouts(learner.onDelivery, address);
  await transport.connectRollouts(address).send(sampleRollout(1)).settled;
  await learner.ackNext();
}

/** Everything that a side can begin with is refused at once. */
async function refusals(url: string, credentials: Partial<Credentials>): Promise<string[]> {
  const transport = make(credentials);
  const address = `${url}/refused`;
  const errors = await Promise.all([
    failureOf(transport.connectControl(address).status()),
    failureOf(transport.serveControl(new SmallCoordinator(), address)),
    failureOf(transport.serveRollouts(() => undefined, address)),
    failureOf(transport.connectRollouts(address).send(sampleRollout(1)).settled),
  ]);
  for (const { code } of errors) expect(code).toBe("UNAUTHORIZED");
  return errors.map(({ message }) => message);
}

describe.skipIf(natsMissing !== null)("a NATS server", () => {
  const servers: NatsServer[] = [];
  let plain: NatsServer;
  let guarded: NatsServer;
  let encrypted: NatsServer;
  let mutual: NatsServer;

  beforeAll(async () => {
    const { cert, key } = issue(ca, ["127.0.0.1", "localhost"]);
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const tls = (verify: boolean): string =>
      `tls { cert_file: "${file("cert", cert)}", key_file: "${file("key", key)}", ` +
      `ca_file: "${file("ca", ca.cert)}", verify: ${verify} }`;
    const start = async (settings: string): Promise<NatsServer> => {
      const server = await NatsServer.start(settings);
      servers.push(server);
      return server;
    };
    plain = await start("");
    guarded = await start(`authorization { token: "${TOKEN}" }`);
    encrypted = await start(tls(false));
    mutual = await start(`${tls(true)}\nauthorization { token: "${TOKEN}" }`);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  it("with a token lets in who has it, and nobody else", async () => {
    await expectAdmitted(guarded.url, { token: TOKEN });
    for (const token of [null, "another-token-altogether"]) {
      for (const message of await refusals(guarded.url, { token })) {
        expect(message).toContain("does not let this side in");
        expect(message).toContain("--token-file");
      }
    }
  });

  it("with a certificate is talked to by who trusts its authority, and by nobody else", async () => {
    await expectAdmitted(encrypted.url, identity());
    for (const credentials of [{}, identity(ca, stranger)]) {
      for (const message of await refusals(encrypted.url, credentials))
        expect(message).toContain("certificate");
    }
  });

  it("that demands certificates lets in who has one and the token, and nobody else", async () => {
    await expectAdmitted(mutual.url, { ...identity(), token: TOKEN });
    await refusals(mutual.url, { ...identity(stranger, ca), token: TOKEN });
    await refusals(mutual.url, identity());
  });

  it("that does not encrypt is not talked to by who does", async () => {
    for (const message of await refusals(plain.url, identity())) {
      expect(message).toContain("does not encrypt its connections and this side does");
    }
    await refusals(plain.url.replace("nats:", "tls:"), {});
  });
});
