/** A learner process: joins the run, trains to its end or until it is asked to stop, leaves a checkpoint. */
import { randomUUID } from "node:crypto";
import type { FinishedEvent } from "../../core/progress.js";
import { securityOf } from "../../core/security/credentials.js";
import { listening, noticeOf, steadySeconds, withTeardown, type ServiceHost } from "../../core/services.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { addressesOf, describeRun } from "../../core/transport/create.js";
import { Watchdog } from "../../core/watchdog.js";
import { WeightsPublisher } from "../../core/weights/publisher.js";
import { buildLearner, type LearnerPlace } from "./build.js";
import { Membership } from "./membership.js";
import { runToEnd } from "./run-to-end.js";

/** `coordinator` is its address: `host:port`, or `nats://host:port/<run>`. */
export async function runLearner(
  coordinator: string,
  place: LearnerPlace,
  host: ServiceHost,
): Promise<FinishedEvent> {
  const run = await describeRun(coordinator, host.credentials, host.signal, host.createTransport);
  host.log.level = run.config.logLevel;
  const { transport: wires, learner: settings } = run.config;
  const addresses = addressesOf(run.config);
  const security = securityOf(run.config.security, host.credentials);
  return withTeardown(async (keep) => {
    const transport = keep(host.createTransport(wires, security, noticeOf(host)));
    const control = keep(transport.connectControl(coordinator));
    const paused = async (): Promise<boolean> => (await control.status()).pausedSeconds > 0;
    const { seconds } = run.config.watchdog;
    const watchdog = keep(
      new Watchdog({ seconds, role: "learner", now: steadySeconds, log: host.log, paused }),
    );
    const built = await buildLearner(run, place, host, watchdog, keep);
    const { learner, training, intake, settlements, time } = built;
    const data = keep(
      await transport.serveRollouts((delivery) => intake.deliver(delivery), addresses.rollouts),
    );
    const door = keep(await openSideDoor(settings.http, built.metrics.registry, built.health, security));
    host.emit(listening("learner", data.address, door.url));
    const dataAddress = addresses.advertised ?? data.address;
    const incarnation = randomUUID();
    const publisher = new WeightsPublisher(control, incarnation, run.config.weights, built.metrics);
    const identity = { incarnation, dataAddress, control };
    const tick = (): void => time.count();
    const membership = keep(
      await Membership.open({ ...identity, learner, intake, settlements, publisher, tick }),
    );
    const reason = await runToEnd({ learner, membership, training, watchdog }, host.signal);
    await membership.finish();
    const { envSteps, updates, meanReturn100, policyVersion } = learner.progress;
    const wallSeconds = learner.wallSeconds;
    return { event: "finished", reason, envSteps, updates, wallSeconds, meanReturn100, policyVersion };
  });
}
