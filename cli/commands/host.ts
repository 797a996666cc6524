/** What a command is given by the process: when to stop, where to write. */
import type { ServiceHost } from "../../core/services.js";
import type { Credentials } from "../../core/security/credentials.js";
import type { ListeningEvent, RunEvent } from "../../core/progress.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createTransport } from "../../core/transport/create.js";
import { jsonLine } from "../view/json.js";
import { listeningLine } from "../view/plain.js";
import { noticeText } from "../view/notice.js";
import { verdict } from "../view/verdict.js";

export interface CommandHost {
  /** Aborts at the first SIGINT or SIGTERM, or when a supervising parent goes away. */
  readonly signal: AbortSignal;
  /** Called at the second signal, before the process ends at once. */
  onForcedExit(last: () => void): void;
  /** Exit code of a run that ended as asked for by a signal: 128 + its number; 0 without one. */
  signalExitCode(): number;
  readonly color: boolean;
}

/** One line for people; null for progress, which a service alone does not show. */
function plainLine(event: RunEvent): string | null {
  switch (event.event) {
    case "listening":
      return listeningLine(event);
    case "notice":
      return noticeText(event);
    case "finished":
      return verdict(event, null).text;
    case "progress":
      return null;
  }
}

/** A service's host that prints its events: all of them as JSON lines, or the notable ones for people. */
export function serviceHost(
  host: CommandHost,
  role: ListeningEvent["role"],
  credentials: Credentials,
  json: boolean,
): ServiceHost {
  return {
    log: createLogger({ role, level: "info" }),
    signal: host.signal,
    credentials,
    createTransport,
    emit: (event) => {
      const line = json ? jsonLine(event) : plainLine(event);
      if (line !== null) process.stdout.write(`${line}\n`);
    },
  };
}
