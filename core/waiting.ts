/** Waits that end. */
import { setTimeout as sleep } from "node:timers/promises";

/** What `promise` gives, or null where `signal` aborts first; the promise is then left to itself. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  let stopWaiting: () => void = () => undefined;
  const aborted = new Promise<null>((resolve) => {
    stopWaiting = () => resolve(null);
    signal.addEventListener("abort", stopWaiting, { once: true });
  });
  promise.catch(() => undefined);
  try {
    return signal.aborted ? null : await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stopWaiting);
  }
}

/** Resolves when `promise` settles, however it does, or after `seconds`. */
export async function settledWithin(promise: Promise<unknown>, seconds: number): Promise<void> {
  const settled = promise.then(
    () => undefined,
    () => undefined,
  );
  const over = new AbortController();
  const passed = sleep(seconds * 1000, undefined, { ref: false, signal: over.signal }).catch(() => undefined);
  await Promise.race([settled, passed]);
  // Else the timer would hold what was waited for until it rings.
  over.abort();
}
