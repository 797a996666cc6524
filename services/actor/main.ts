/** An actor process: joins the run, starts its seats, works until the run is finished or it is asked to stop. */
import { listening, noticeOf, withTeardown, type ServiceHost } from "../../core/services.js";
import { securityOf } from "../../core/security/credentials.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { describeRun } from "../../core/transport/create.js";
import type { Actor } from "./actor.js";
import { buildActor } from "./build.js";
import { joinRun, type ActorIdentity } from "./join.js";
import { startSeats } from "./seat.js";
import { WeightsStore } from "./weights-store.js";

/** `coordinator` is its address: `host:port`, or `nats://host:port/<run>`. Throws what an environment or engine failed with. */
export async function runActor(
  coordinator: string,
  identity: ActorIdentity,
  host: ServiceHost,
): Promise<void> {
  const { log, credentials } = host;
  const { runId, config } = await describeRun(coordinator, credentials, host.signal, host.createTransport);
  log.level = config.logLevel;
  const security = securityOf(config.security, credentials);
  await withTeardown(async (keep) => {
    const transport = keep(host.createTransport(config.transport, security, noticeOf(host)));
    const control = keep(transport.connectControl(coordinator));
    const weights = new WeightsStore(config.deterministic ? config.staleness.maxPolicyLag + 3 : 1);
    let actor: Actor | null = null;
    const applied = () => ({ appliedVersion: weights.version, appliedHash: weights.rootHash });
    const beat = () => ({ ...applied(), running: actor?.beat() ?? [] });
    const session = keep(await joinRun(control, identity, beat));
    const seats = keep(await startSeats(config, session.index));
    const metrics = createActorMetrics();
    const { engine, engineDetail } = seats.all[0]!;
    log.info({ engine, detail: engineDetail }, "seats ready");
    const detail = () => ({ phase: session.phase, policyVersion: weights.version, seats: seats.all.length });
    const health = () => ({ ok: session.phase !== "waiting", detail: { ...detail(), engine } });
    const door = keep(await openSideDoor(config.actors.http, metrics.registry, health, security));
    host.emit(listening("actor", "", door.url));
    const names = { runId, actorId: identity.name, coordinator };
    const lines = { config, transport, control, session, weights, seats, metrics, log };
    actor = await buildActor({ ...names, ...lines }, keep);
    await actor.run(host.signal);
    await seats.stop();
  });
}
