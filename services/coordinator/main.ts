/** Builds a coordinator: gRPC server, side door, clock; runs it and takes it down again. */
import type { RunConfig } from "../../core/config/schema.js";
import { steadySeconds, Teardown, type ServiceHost } from "../../core/services.js";
import { createCoordinatorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport } from "../../core/transport/create.js";
import { Coordinator } from "./coordinator.js";

const TICK_MS = 500;

/** Serves until the process is asked to stop. */
export async function runCoordinator(config: RunConfig, host: ServiceHost): Promise<void> {
  const teardown = new Teardown();
  try {
    const metrics = createCoordinatorMetrics();
    const now = (): number => steadySeconds() * 1000;
    const coordinator = new Coordinator({ config, metrics, notice: host.emit, now });
    const transport = teardown.add(createTransport(config.transport));
    const server = teardown.add(await transport.serveControl(coordinator, config.coordinator.address));
    const door = await openSideDoor(config.coordinator.http, metrics.registry, () => ({
      ok: true,
      detail: coordinator.summary(),
    }));
    if (door !== null) teardown.add(door);
    const timer = setInterval(() => coordinator.tick(), TICK_MS);
    teardown.add({ close: () => clearInterval(timer) });
    host.emit({ event: "listening", role: "coordinator", address: server.address, http: door?.url ?? "" });
    await new Promise<void>((resolve) => {
      if (host.signal.aborted) resolve();
      host.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await teardown.run();
  }
}
