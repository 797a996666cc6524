/** What every service is given by the process it runs in, and how it is taken down. */
import type { Credentials } from "./security/credentials.js";
import type { ListeningEvent, RunEvent } from "./progress.js";
import type { TransportMaker } from "./transport/create.js";
import type { Logger } from "./telemetry/logger.js";

export interface ServiceHost {
  /** Aborts when the process is asked to stop: finish what runs, start nothing new, leave. */
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
  /** For whoever looks into this one process later; people following the run read events. */
  readonly log: Logger;
  readonly credentials: Credentials;
  /** What makes the run's wires: `createTransport`, or one whose wires stay in this process. */
  readonly createTransport: TransportMaker;
}

/** Says where this process listens. */
export function listening(role: ListeningEvent["role"], address: string, http: string): ListeningEvent {
  return { event: "listening", role, pid: process.pid, address, http };
}

/** Tells people and the log what the transport has to say. */
export function noticeOf(host: ServiceHost): (message: string) => void {
  return (message) => {
    host.log.warn(message);
    host.emit({ event: "notice", level: "warn", message });
  };
}

/** Seconds of a steady clock. */
export function steadySeconds(): number {
  return performance.now() / 1000;
}

export interface Closes {
  close(): void | Promise<void>;
}

/** Remembers what to close when `work` is over. */
export type Keep = <T extends Closes>(thing: T) => T;

/**
 * Runs `work` and then closes what it kept, newest first, each even where another fails. A failure of `work` is
 * thrown before one of closing.
 */
export async function withTeardown<T>(work: (keep: Keep) => Promise<T>): Promise<T> {
  const kept: Closes[] = [];
  const errors: unknown[] = [];
  let result: T | undefined;
  try {
    result = await work((thing) => {
      kept.push(thing);
      return thing;
    });
  } catch (error) {
    errors.push(error);
  }
  for (const thing of kept.reverse()) {
    try {
      await thing.close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return result as T;
}

/**
 * How Node runs a service. Messages are memory outside V8's heap, which V8 answers with marking in small steps, over and
 * over; on a small heap marking all at once costs a fraction of that and milliseconds at a time.
 */
export const SERVICE_FLAGS: readonly string[] = ["--no-incremental-marking"];
