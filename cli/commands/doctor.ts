/** `skein doctor`: what this machine offers, and what is missing. */
import { availableParallelism, totalmem } from "node:os";
import { runConfigSchema } from "../../core/config/schema.js";
import { AUTO_ORDER, type EngineProbe } from "../../core/engine/select.js";
import { messageOf } from "../../core/errors.js";
import { skeinVersion } from "../../core/telemetry/version.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import { natsServerComplaint, natsServerVersion } from "../supervisor/nats-server.js";
import { engineProbes } from "./engine-probes.js";
import type { CommandHost } from "./host.js";

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** A finding that is not ok but optional does not fail the command. */
  readonly optional: boolean;
  readonly detail: string;
}

async function loopback(): Promise<Finding> {
  const check = "gRPC on loopback";
  const transport = createGrpcTransport(runConfigSchema.shape.transport.parse({}));
  try {
    const server = await transport.serveRollouts(() => undefined, "127.0.0.1:0");
    await server.close();
    return { check, ok: true, optional: false, detail: `could listen on ${server.address}` };
  } catch (error) {
    return { check, ok: false, optional: false, detail: messageOf(error) };
  } finally {
    await transport.close();
  }
}

function natsServer(): Finding {
  const version = natsServerVersion();
  const complaint = natsServerComplaint(version);
  const detail = complaint ?? `${version}: skein train can start one for transport.kind nats`;
  return { check: "nats-server", ok: complaint === null, optional: true, detail };
}

/** What `engine: auto` takes here, and why. */
function autoChoice(engines: readonly EngineProbe[]): Finding {
  const works = (id: string): boolean => engines.some((engine) => engine.id === id && engine.available);
  const taken = AUTO_ORDER.find(works);
  const named = engines.filter(({ id, available }) => available && !AUTO_ORDER.includes(id));
  const reason = `the first that works of ${AUTO_ORDER.join(", ")}, fastest first`;
  const others = named.length === 0 ? "" : `; ${named.map(({ id }) => id).join(", ")} only when named`;
  return {
    check: "engine: auto",
    ok: taken !== undefined,
    optional: false,
    detail: taken === undefined ? "none of the engines works" : `takes ${taken}, ${reason}${others}`,
  };
}

export async function doctor(host: CommandHost, options: { readonly json: boolean }): Promise<number> {
  const engines = await engineProbes(host.signal);
  const major = Number(process.versions.node.split(".")[0]);
  const findings: Finding[] = [
    {
      check: "Node.js",
      ok: major >= 20,
      optional: false,
      detail: `${process.version} (20 or newer is needed)`,
    },
    {
      check: "machine",
      ok: true,
      optional: false,
      detail: `${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB of memory`,
    },
    ...engines.map(({ id, available, detail }) => ({
      check: `engine ${id}`,
      ok: available,
      optional: id !== "tfjs:wasm",
      detail,
    })),
    autoChoice(engines),
    await loopback(),
    natsServer(),
  ];
  const ok = findings.every((finding) => finding.ok || finding.optional);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ skein: skeinVersion(), ok, engines, findings })}\n`);
  } else {
    process.stdout.write(`skein ${skeinVersion()}\n`);
    for (const { check, ok: good, optional, detail } of findings) {
      process.stdout.write(`${good ? "ok  " : optional ? "none" : "BAD "}  ${check}: ${detail}\n`);
    }
  }
  return ok ? 0 : 1;
}
