/** What a command is given by the process: when to stop, where to write. */
import type { ServiceHost } from "../../core/services.js";
import type { RunEvent } from "../../core/progress.js";

export interface CommandHost {
  /** Aborts at the first SIGINT or SIGTERM, or when a supervising parent goes away. */
  readonly signal: AbortSignal;
  /** Called at the second signal, before the process ends at once. */
  onForcedExit(last: () => void): void;
  /** Exit code of a run that ended as asked for by a signal: 128 + its number; 0 without one. */
  signalExitCode(): number;
  readonly color: boolean;
}

/** One line for people a notable event. */
function describeEvent(event: RunEvent): string | null {
  switch (event.event) {
    case "listening":
      return [
        `${event.role} ready`,
        event.address === "" ? "" : `grpc ${event.address}`,
        event.http === "" ? "" : `metrics ${event.http}/metrics`,
      ]
        .filter((part) => part !== "")
        .join(" · ");
    case "notice":
      return event.level === "info" ? event.message : `${event.level}: ${event.message}`;
    case "finished":
      return (
        `finished: ${event.reason} after ${event.envSteps} env steps, ${event.updates} updates, ` +
        `version ${event.policyVersion}, mean return ${event.meanReturn100.toFixed(1)}`
      );
    case "progress":
      return null;
  }
}

/** A service's host that prints its events: JSON lines, or plain ones without progress. */
export function serviceHost(host: CommandHost, json: boolean): ServiceHost {
  return {
    signal: host.signal,
    emit: (event) => {
      const line = json ? JSON.stringify(event) : describeEvent(event);
      if (line !== null) process.stdout.write(`${line}\n`);
    },
  };
}
