/** A learner process: joins the run, trains to its end or until it is asked to stop, leaves a checkpoint. */
import type { FinishedEvent } from "../../core/progress.js";
import { withTeardown, type ServiceHost } from "../../core/services.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport, describeRun } from "../../core/transport/create.js";
import { buildLearner } from "./build.js";
import { Membership } from "./membership.js";

export interface LearnerPlace {
  readonly runFolder: string;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume: boolean;
}

/** `coordinator` is `host:port`. */
export async function runLearner(
  coordinator: string,
  place: LearnerPlace,
  host: ServiceHost,
): Promise<FinishedEvent> {
  const run = await describeRun(coordinator, host.signal);
  const { transport: wires, learner: settings } = run.config;
  return withTeardown(async (keep) => {
    const { learner, engine, engineDetail, intake, onDelivery, metrics } = await buildLearner(
      run,
      place,
      host.emit,
      keep,
    );
    const transport = keep(createTransport(wires));
    const data = keep(await transport.serveRollouts(onDelivery, settings.address));
    const control = keep(transport.connectControl(coordinator));
    const detail = () => ({ ...learner.progress, engine: engine.id, heldSteps: intake.heldSteps });
    const door = keep(
      await openSideDoor(settings.http, metrics.registry, () => ({ ok: true, detail: detail() })),
    );
    host.emit({
      event: "listening",
      role: "learner",
      pid: process.pid,
      address: data.address,
      http: door.url,
    });
    host.emit({ event: "notice", level: "info", message: `engine ${engine.id}: ${engineDetail}` });
    const dataAddress = settings.advertise ?? data.address;
    const progress = () => learner.progress;
    const membership = keep(await Membership.open({ control, dataAddress, engine, intake, progress }));
    const reason = await Promise.race([learner.run(membership, host.signal), membership.failed]);
    await membership.finish();
    const { envSteps, updates, meanReturn100, policyVersion } = learner.progress;
    const wallSeconds = learner.wallSeconds;
    return { event: "finished", reason, envSteps, updates, wallSeconds, meanReturn100, policyVersion };
  });
}
