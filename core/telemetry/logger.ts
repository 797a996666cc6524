/** Structured logs: one JSON object a line, on stderr unless told otherwise. */
import { pino, type DestinationStream, type Logger } from "pino";
import type { Role } from "../transport/transport.js";

export type { Logger } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LoggerOptions {
  readonly role: Role | "coordinator" | "cli";
  /** Least level written. */
  readonly level: LogLevel;
  /** Where lines go; stderr by default, written synchronously so that none is lost when the process ends. */
  readonly destination?: DestinationStream;
}

/** Each line: `level` by name, `time` in ISO 8601 (UTC), `role`, `pid`, `msg` and the fields given; `err` in full. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { role: options.role, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}
