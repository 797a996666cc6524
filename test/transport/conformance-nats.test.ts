/**
 * What every transport must do, run over NATS with a real server. The server answers for rollouts as soon as it has
 * stored them, so what a sender hears of the learner is no part of it; nats-rollouts.test.ts has what is instead.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { OPEN } from "../../core/security/credentials.js";
import { createNatsTransport } from "../../core/transport/nats/index.js";
import { natsMissing, NatsServer } from "../nats-server.js";
import { controlConformance } from "./conformance/control.js";
import type { Kind } from "./conformance/harness.js";
import { rolloutConformance } from "./conformance/rollouts.js";
import { weightsConformance } from "./conformance/weights.js";

let server: NatsServer | null = null;

const kind: Kind = {
  kind: "NATS",
  create: (options) =>
    createNatsTransport(
      { ...options, nats: { maxBytes: 2 ** 30, replicas: 1 }, notice: () => undefined },
      OPEN,
    ),
  get any() {
    return server?.url ?? "";
  },
  nobody: "nats://127.0.0.1:1/nobody",
};

if (natsMissing !== null) process.stderr.write(`the NATS transport: ${natsMissing}\n`);

describe.skipIf(natsMissing !== null)("the NATS transport", () => {
  beforeAll(async () => {
    server = await NatsServer.start();
  });
  afterAll(async () => {
    await server?.stop();
  });
  controlConformance(kind);
  weightsConformance(kind);
  rolloutConformance(kind);
});
