/** Error codes as text from the wire. */
import type { ErrorCode } from "../errors.js";

// A record so that the compiler misses no code of the union.
const known: Readonly<Record<ErrorCode, true>> = {
  CONFIG_INVALID: true,
  ENVIRONMENT_UNKNOWN: true,
  ENVIRONMENT_FAILED: true,
  RECIPE_UNKNOWN: true,
  RECIPE_INVALID: true,
  ENGINE_UNAVAILABLE: true,
  TRACE_FAILED: true,
  SHAPE: true,
  PORT_IN_USE: true,
  UNAVAILABLE: true,
  UNAUTHORIZED: true,
  PROTOCOL_MISMATCH: true,
  MESSAGE_CORRUPT: true,
  REFUSED: true,
  CHECKPOINT_UNREADABLE: true,
  CHECKPOINT_MISMATCH: true,
  CHECKPOINT_UNWRITABLE: true,
  RUN_FOLDER: true,
  STALLED: true,
  BOOKS_UNREADABLE: true,
  BOOKS_MISMATCH: true,
  BOOKS_UNAVAILABLE: true,
  DIVERGED: true,
  PROCESS_DIED: true,
  INTERNAL: true,
};

/** `text` where it is an error code, else `fallback`: a newer peer may know codes that this side does not. */
export function codeOr(text: string, fallback: ErrorCode): ErrorCode {
  return Object.hasOwn(known, text) ? (text as ErrorCode) : fallback;
}
