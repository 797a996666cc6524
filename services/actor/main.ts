/** An actor process: joins the run, starts its seats, works until the run is finished or it is asked to stop. */
import { listening, noticeOf, steadySeconds, withTeardown, type ServiceHost } from "../../core/services.js";
import { securityOf } from "../../core/security/credentials.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport, describeRun } from "../../core/transport/create.js";
import { Watchdog } from "../../core/watchdog.js";
import { Actor } from "./actor.js";
import { joinRun, type ActorIdentity } from "./join.js";
import { LearnerLine } from "./learner-line.js";
import { startSeats } from "./seat.js";
import { openWeights } from "./weights-line.js";
import { WeightsStore } from "./weights-store.js";

/** `coordinator` is its address: `host:port`, or `nats://host:port/<run>`. Throws what an environment or engine failed with. */
export async function runActor(
  coordinator: string,
  identity: ActorIdentity,
  host: ServiceHost,
): Promise<void> {
  const { runId, config } = await describeRun(coordinator, host.credentials, host.signal);
  host.log.level = config.logLevel;
  const security = securityOf(config.security, host.credentials);
  await withTeardown(async (keep) => {
    const transport = keep(createTransport(config.transport, security, noticeOf(host)));
    const control = keep(transport.connectControl(coordinator));
    const weights = new WeightsStore(config.deterministic ? config.staleness.maxPolicyLag + 3 : 1);
    let actor: Actor | null = null;
    const beat = () => ({
      ...{ appliedVersion: weights.version, appliedHash: weights.rootHash },
      running: actor?.running ?? [],
    });
    const session = keep(await joinRun(control, identity, beat));
    const seats = keep(await startSeats(config, session.index));
    const metrics = createActorMetrics();
    const { engine, engineDetail } = seats.all[0]!;
    host.log.info({ engine, detail: engineDetail }, "seats ready");
    const detail = () => ({ phase: session.phase, policyVersion: weights.version, seats: seats.all.length });
    const health = () => ({ ok: session.phase !== "waiting", detail: { ...detail(), engine } });
    const door = keep(await openSideDoor(config.actors.http, metrics.registry, health, security));
    host.emit(listening("actor", "", door.url));
    const basics = { metrics, log: host.log, now: steadySeconds };
    const watchdog = keep(
      new Watchdog({
        ...{ ...basics, role: "actor", seconds: config.watchdog.seconds },
        paused: async () => (await control.status()).pausedSeconds > 0,
      }),
    );
    const learner = keep(
      new LearnerLine({
        ...basics,
        connect: (address) => transport.connectRollouts(address),
        capacityBytes: config.actors.unsettledBytes,
        onSettled: () => watchdog.progress(),
      }),
    );
    const follower = await openWeights(config, transport, control, metrics, host.log, keep);
    const identities = { runId, actorId: identity.name, coordinator };
    const kind = { deterministic: config.deterministic, groups: config.groups !== null };
    const lines = { control, session, learner, follower, weights, watchdog, seats: seats.all };
    actor = new Actor({ ...identities, ...kind, ...lines, ...basics });
    await actor.run(host.signal);
    await seats.stop();
  });
}
