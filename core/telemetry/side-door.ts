/** Serves a service's /metrics and /healthz where its run file says so. */
import type { Security } from "../security/credentials.js";
import { serveTelemetry, type Health } from "./http.js";
import type { MetricsRegistry } from "./metrics.js";

export interface SideDoor {
  /** `http://host:port` or `https://host:port`; empty where nothing is served. */
  readonly url: string;
  close(): Promise<void>;
}

/** `address` is `host:port`; null = not served. Throws PORT_IN_USE. */
export async function openSideDoor(
  address: string | null,
  registry: MetricsRegistry,
  health: () => Health,
  security: Security,
): Promise<SideDoor> {
  if (address === null) return { url: "", close: () => Promise.resolve() };
  const at = address.lastIndexOf(":");
  return serveTelemetry({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    registry,
    health,
    security,
  });
}
