/** The one error hierarchy of Skein. A message says what was expected, what was got and what to do. */

/** Stable codes: scripts and tests match on these, never on the message text. */
export type ErrorCode =
  /** The run file, a `--set` value or a recipe/environment parameter is not acceptable. */
  | "CONFIG_INVALID"
  /** No environment of that id, or its module cannot be loaded. */
  | "ENVIRONMENT_UNKNOWN"
  /** An environment threw, or returned something its spec does not allow. */
  | "ENVIRONMENT_FAILED"
  | "RECIPE_UNKNOWN"
  | "RECIPE_INVALID"
  /** The engine named is not installed, not supported or failed to start. */
  | "ENGINE_UNAVAILABLE"
  /** A network does what a compiled engine cannot: reads values, uses an operation without a kernel. */
  | "TRACE_FAILED"
  /** Arrays of the wrong length or shape reached a function. */
  | "SHAPE"
  | "PORT_IN_USE"
  /** Nobody answered before the deadline. */
  | "UNAVAILABLE"
  /** A certificate or a token is missing or is not accepted, or one side encrypts and the other does not. */
  | "UNAUTHORIZED"
  /** The other side speaks another version of the protocol. */
  | "PROTOCOL_MISMATCH"
  /** A message or a chunk of one did not survive the way: wrong length, checksum or order. */
  | "MESSAGE_CORRUPT"
  /** A request the other side refused for a reason it named. */
  | "REFUSED"
  | "CHECKPOINT_UNREADABLE"
  | "CHECKPOINT_MISMATCH"
  /** A checkpoint could not be written: no space, no permission, a failing disk. */
  | "CHECKPOINT_UNWRITABLE"
  /** A run folder is missing, occupied or has nothing to resume from. */
  | "RUN_FOLDER"
  /** Nothing went on for `watchdog.seconds`; the message says what waits on what. */
  | "STALLED"
  /** The coordinator's file is damaged, or of something else. */
  | "BOOKS_UNREADABLE"
  /** The coordinator's file is of a run with other settings. */
  | "BOOKS_MISMATCH"
  /** The coordinator's file cannot be written now: no space, no permission, or another process has it. */
  | "BOOKS_UNAVAILABLE"
  /** Weights became NaN or infinite. */
  | "DIVERGED"
  /** A supervised process died. */
  | "PROCESS_DIED"
  | "INTERNAL";

/** Thrown for everything Skein itself reports. Expected outcomes (stale, truncated) are values instead. */
export class SkeinError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SkeinError";
    this.code = code;
  }
}

/** The text of anything thrown, for messages that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Anything thrown, as a SkeinError; what is not one already becomes INTERNAL with its cause kept. */
export function toSkeinError(error: unknown, code: ErrorCode = "INTERNAL"): SkeinError {
  if (error instanceof SkeinError) return error;
  return new SkeinError(code, messageOf(error), { cause: error });
}

/** Throws SHAPE unless `got` elements are there: `gae: expected values [4], got [3]`. */
export function expectLength(where: string, name: string, expected: number, got: number): void {
  if (expected !== got) {
    throw new SkeinError("SHAPE", `${where}: expected ${name} [${expected}], got [${got}]`);
  }
}
