/** A coordinator process: serves control, weights and a side door until it is asked to stop. */
import { once } from "node:events";
import type { RunConfig } from "../../core/config/schema.js";
import { securityOf } from "../../core/security/credentials.js";
import { listening, noticeOf, steadySeconds, withTeardown, type ServiceHost } from "../../core/services.js";
import { createCoordinatorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { addressesOf } from "../../core/transport/create.js";
import { Watchdog } from "../../core/watchdog.js";
import { Coordinator } from "./coordinator.js";
import { openBooks } from "./open-books.js";

export { readBooks, type BookReport } from "./read-books.js";

const TICK_MS = 500;
/** Learner and actors, which know more of what they wait for, speak up first. */
const PATIENCE = 2;

/** Throws PORT_IN_USE where an address of the run file is taken, BOOKS_… where the run folder's books are amiss. */
export async function runCoordinator(
  config: RunConfig,
  place: { readonly runFolder: string | null },
  host: ServiceHost,
): Promise<void> {
  await withTeardown(async (keep) => {
    const security = securityOf(config.security, host.credentials);
    const metrics = createCoordinatorMetrics();
    const now = (): number => steadySeconds() * 1000;
    host.log.level = config.logLevel;
    const store = keep(openBooks(place.runFolder, host.emit));
    const coordinator = keep(
      new Coordinator({ config, store, metrics, notice: host.emit, log: host.log, now }),
    );
    const transport = keep(host.createTransport(config.transport, security, noticeOf(host)));
    const server = keep(await transport.serveControl(coordinator, addressesOf(config).control));
    const health = () => ({ ok: true, detail: coordinator.summary() });
    const door = keep(await openSideDoor(config.coordinator.http, metrics.registry, health, security));
    const watchdog = keep(
      new Watchdog({
        ...{
          seconds: PATIENCE * config.watchdog.seconds,
          role: "coordinator",
          now: steadySeconds,
          log: host.log,
        },
        paused: () => Promise.resolve(coordinator.resting),
        waits: () => coordinator.waits(),
      }),
    );
    let { progress } = coordinator;
    const timer = setInterval(() => {
      coordinator.tick();
      if (progress !== coordinator.progress) watchdog.progress();
      progress = coordinator.progress;
    }, TICK_MS);
    keep({ close: () => clearInterval(timer) });
    host.emit(listening("coordinator", server.address, door.url));
    if (!host.signal.aborted) {
      await Promise.race([once(host.signal, "abort"), coordinator.failed, watchdog.failed]);
    }
  });
}
