/** Builds an actor: membership, threads, side door; runs it and takes it down again. */
import { Piscina } from "piscina";
import { toSkeinError } from "../../core/errors.js";
import { steadySeconds, Teardown, type ServiceHost } from "../../core/services.js";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { openSideDoor } from "../../core/telemetry/side-door.js";
import { createTransport, describeRun } from "../../core/transport/create.js";
import { Session } from "../../core/transport/session.js";
import type { RolloutSender, Transport } from "../../core/transport/transport.js";
import { Actor } from "./actor.js";
import { Seat } from "./seat.js";
import { WeightsStore } from "./weights-store.js";

export interface ActorServiceOptions {
  /** `host:port` of the coordinator. */
  readonly coordinator: string;
  /** Place in the fleet; null = any free one. */
  readonly index: number | null;
  readonly name: string;
}

/** Keeps one sender, to the learner's present address. */
function senderCache(transport: Transport, teardown: Teardown): (address: string) => Promise<RolloutSender> {
  let current: { readonly address: string; readonly sender: RolloutSender } | null = null;
  teardown.add({ close: async () => current?.sender.close() });
  return async (address) => {
    if (current?.address !== address) {
      const old = current;
      current = { address, sender: transport.connectRollouts(address) };
      await old?.sender.close();
    }
    return current.sender;
  };
}

/** Runs until the run is finished or the process is asked to stop. */
export async function runActor(options: ActorServiceOptions, host: ServiceHost): Promise<void> {
  const { runId, config } = await describeRun(options.coordinator);
  const teardown = new Teardown();
  try {
    const transport = teardown.add(createTransport(config.transport));
    const control = teardown.add(transport.connectControl(options.coordinator));
    const weights = new WeightsStore(config.staleness.maxPolicyLag + 3);
    const session = teardown.add(
      await Session.open({
        control,
        appliedVersion: () => weights.version,
        onRenewed: () => Promise.resolve(),
        request: () => ({
          role: "actor",
          name: options.name,
          index: options.index,
          dataAddress: "",
          policyVersion: 0,
          disposedSteps: 0,
          receivedSteps: 0,
          seatSequences: [],
        }),
      }),
    );
    const { threads } = config.actors;
    const pool = new Piscina({
      filename: new URL("./rollout-thread.js", import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
    });
    teardown.add({ close: () => pool.destroy() });
    const seats = await Promise.all(
      Array.from({ length: threads }, (_, k) => Seat.start(pool, config, session.index * threads + k)),
    );
    const metrics = createActorMetrics();
    const door = await openSideDoor(config.actors.http, metrics.registry, () => ({
      ok: session.phase !== "waiting",
      detail: { phase: session.phase, policyVersion: weights.version, seats: seats.map(({ seat }) => seat) },
    }));
    if (door !== null) teardown.add(door);
    host.emit({ event: "listening", role: "actor", address: "", http: door?.url ?? "" });
    const senderTo = senderCache(transport, teardown);
    const actor = new Actor({
      runId,
      actorId: options.name,
      deterministic: config.deterministic,
      control,
      session,
      weights,
      seats,
      senderTo,
      metrics,
      now: steadySeconds,
    });
    await actor.run(host.signal);
    await Promise.all(seats.map((seat) => seat.stop()));
  } catch (error) {
    await teardown.run().catch(() => undefined);
    throw toSkeinError(error);
  }
  await teardown.run();
}
