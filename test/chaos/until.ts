/** Waiting for conditions of other processes, which can only be looked at again and again. */
import { setTimeout as pause } from "node:timers/promises";

const LOOK_MS = 20;

/** Resolves once `condition` holds; throws the signal's reason where it aborts first. */
export async function until(condition: () => Promise<boolean> | boolean, signal: AbortSignal): Promise<void> {
  while (!(await condition())) {
    signal.throwIfAborted();
    await pause(LOOK_MS);
  }
}
