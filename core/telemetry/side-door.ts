/** Serves a service's /metrics and /healthz where its run file says so. */
import { serveTelemetry, type Health, type TelemetryServer } from "./http.js";
import type { MetricsRegistry } from "./metrics.js";

/** `address` is `host:port`; null = not served. */
export async function openSideDoor(
  address: string | null,
  registry: MetricsRegistry,
  health: () => Health,
): Promise<TelemetryServer | null> {
  if (address === null) return null;
  const at = address.lastIndexOf(":");
  return serveTelemetry({ host: address.slice(0, at), port: Number(address.slice(at + 1)), registry, health });
}
