/** The transport a run file names. */
import { runConfigSchema, runIdOf, type RunConfig } from "../config/schema.js";
import { parseRunConfig } from "../config/load.js";
import { SkeinError } from "../errors.js";
import { securityOf, type Credentials, type Security } from "../security/credentials.js";
import { unlessAborted } from "../waiting.js";
import { createGrpcTransport } from "./grpc/index.js";
import { isNatsAddress, placeOf } from "./nats/address.js";
import { createNatsTransport } from "./nats/index.js";
import type { Control, RunStatus, Transport } from "./transport.js";

/** `notice` is told what people should know of the transport while it works. */
export type TransportMaker = (
  config: RunConfig["transport"],
  security: Security,
  notice?: (message: string) => void,
) => Transport;

export const createTransport: TransportMaker = (config, security, notice = () => undefined) => {
  switch (config.kind) {
    case "grpc":
      return createGrpcTransport(config, security);
    case "nats":
      return createNatsTransport({ ...config, notice }, security);
  }
};

/** Where the parts of a run are served. */
export interface RunAddresses {
  readonly control: string;
  readonly rollouts: string;
  /** Rollouts as actors reach them; null = where they are served. */
  readonly advertised: string | null;
  /** Where an actor hands weights on; each has an address of its own there. */
  readonly relays: string;
}

/** Throws CONFIG_INVALID where the transport is NATS and no server is named. */
export function addressesOf(config: RunConfig): RunAddresses {
  const { transport, coordinator, learner, weights } = config;
  if (transport.kind === "grpc") {
    return {
      control: coordinator.address,
      rollouts: learner.address,
      advertised: learner.advertise,
      relays: weights.relayAddress,
    };
  }
  const { url } = transport.nats;
  if (url === null) {
    const advice = "name the server, as nats://host:port; only skein train starts one of its own";
    throw new SkeinError("CONFIG_INVALID", `transport.nats.url: expected a server, got null: ${advice}`);
  }
  const place = placeOf(url, runIdOf(config));
  return { control: place, rollouts: place, advertised: null, relays: url };
}

/** One question to the coordinator at `address`, with default limits: a run's own come with its run file. */
export async function withControl<T>(
  address: string,
  credentials: Credentials,
  signal: AbortSignal,
  ask: (control: Control) => Promise<T>,
  make: TransportMaker = createTransport,
): Promise<T> {
  const { transport: wires, security } = runConfigSchema.shape;
  const kind = isNatsAddress(address) ? "nats" : "grpc";
  const transport = make(wires.parse({ kind }), securityOf(security.parse({}), credentials));
  try {
    const asked = ask(transport.connectControl(address)).then((answer) => ({ answer }));
    const settled = await unlessAborted(asked, signal);
    if (settled === null) throw new SkeinError("UNAVAILABLE", `asked to stop before ${address} answered`);
    return settled.answer;
  } finally {
    await transport.close();
  }
}

/** Asks the coordinator at `address` what run it has. */
export async function describeRun(
  address: string,
  credentials: Credentials,
  signal: AbortSignal,
  make: TransportMaker,
): Promise<{ readonly runId: string; readonly config: RunConfig }> {
  const status = (control: Control): Promise<RunStatus> => control.status();
  const { runId, runConfig } = await withControl(address, credentials, signal, status, make);
  return { runId, config: parseRunConfig(JSON.parse(runConfig), `the run of ${address}`) };
}
