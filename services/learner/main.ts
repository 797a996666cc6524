/** A learner process: joins the run, trains to its end or until it is asked to stop, leaves a checkpoint. */
import type { FinishedEvent } from "../../core/progress.js";
import { listening, withTeardown, type ServiceHost } from "../../core/services.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport, describeRun } from "../../core/transport/create.js";
import { WeightsPublisher } from "../../core/weights/publisher.js";
import { buildLearner, type LearnerPlace } from "./build.js";
import { Membership } from "./membership.js";

/** `coordinator` is `host:port`. */
export async function runLearner(
  coordinator: string,
  place: LearnerPlace,
  host: ServiceHost,
): Promise<FinishedEvent> {
  const run = await describeRun(coordinator, host.signal);
  host.log.level = run.config.logLevel;
  const { transport: wires, learner: settings } = run.config;
  return withTeardown(async (keep) => {
    const built = await buildLearner(run, place, host, keep);
    const { learner, training, intake } = built;
    const transport = keep(createTransport(wires));
    const data = keep(await transport.serveRollouts(built.onDelivery, settings.address));
    const control = keep(transport.connectControl(coordinator));
    const door = keep(await openSideDoor(settings.http, built.metrics.registry, built.health));
    host.emit(listening("learner", data.address, door.url));
    const dataAddress = settings.advertise ?? data.address;
    const publisher = new WeightsPublisher(control, run.config.weights, built.metrics);
    const membership = keep(await Membership.open({ control, dataAddress, learner, intake, publisher }));
    // A learner that has lost its coordinator for good still writes its checkpoint before it says so; one that has
    // lost its training thread has none to write.
    const lost = new AbortController();
    const failed = Promise.race([membership.failed, training.failed]);
    failed.catch(() => lost.abort());
    const reason = await learner.run(membership, AbortSignal.any([host.signal, lost.signal]));
    if (lost.signal.aborted) await failed;
    await membership.finish();
    const { envSteps, updates, meanReturn100, policyVersion } = learner.progress;
    const wallSeconds = learner.wallSeconds;
    return { event: "finished", reason, envSteps, updates, wallSeconds, meanReturn100, policyVersion };
  });
}
