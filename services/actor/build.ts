/** Everything that an actor works with, made and wired. */
import type { RunConfig } from "../../core/config/schema.js";
import { steadySeconds, type Keep } from "../../core/services.js";
import type { Logger } from "../../core/telemetry/logger.js";
import type { ActorMetrics } from "../../core/telemetry/metrics.js";
import type { Session } from "../../core/transport/session.js";
import type { Control, Transport } from "../../core/transport/transport.js";
import { Watchdog } from "../../core/watchdog.js";
import { Actor } from "./actor.js";
import { LearnerLine } from "./learner-line.js";
import type { Seats } from "./seat.js";
import { openWeights } from "./weights-line.js";
import type { WeightsStore } from "./weights-store.js";

export interface ActorParts {
  readonly runId: string;
  readonly actorId: string;
  /** The coordinator's address, for messages. */
  readonly coordinator: string;
  readonly config: RunConfig;
  readonly transport: Transport;
  readonly control: Control;
  readonly session: Session;
  readonly weights: WeightsStore;
  readonly seats: Seats;
  readonly metrics: ActorMetrics;
  readonly log: Logger;
}

/** What is to be closed afterwards goes to `keep`. */
export async function buildActor(parts: ActorParts, keep: Keep): Promise<Actor> {
  const { config, transport, control, metrics, log } = parts;
  const basics = { metrics, log, now: steadySeconds };
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
  const follower = await openWeights({ ...basics, config, transport, control, keep });
  return new Actor({
    ...{ ...parts, ...basics, watchdog, learner, follower, seats: parts.seats.all },
    ...{ deterministic: config.deterministic, groups: config.groups !== null },
  });
}
