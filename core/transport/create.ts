/** The transport a run file names. */
import { runConfigSchema, type RunConfig } from "../config/schema.js";
import { parseRunConfig } from "../config/load.js";
import { SkeinError } from "../errors.js";
import { unlessAborted } from "../waiting.js";
import { createGrpcTransport } from "./grpc/index.js";
import { createNatsTransport } from "./nats/index.js";
import type { Control, RunStatus, Transport } from "./transport.js";

export function createTransport(config: RunConfig["transport"]): Transport {
  switch (config.kind) {
    case "grpc":
      return createGrpcTransport(config);
    case "nats":
      return createNatsTransport(config);
  }
}

/** Asks the coordinator at `address` what run it has. Uses default limits: the run's own come with the answer. */
export async function describeRun(
  address: string,
  signal: AbortSignal,
): Promise<{ readonly runId: string; readonly config: RunConfig }> {
  const transport = createTransport(runConfigSchema.shape.transport.parse({}));
  try {
    const control: Control = transport.connectControl(address);
    const status: RunStatus | null = await unlessAborted(control.status(), signal);
    if (status === null) throw new SkeinError("UNAVAILABLE", `asked to stop before ${address} answered`);
    const { runId, runConfig } = status;
    return { runId, config: parseRunConfig(JSON.parse(runConfig), `the run of ${address}`) };
  } finally {
    await transport.close();
  }
}
