/** Patience with a peer that cannot be reached: growing pauses between attempts, and an end to them. */
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { SkeinError } from "../errors.js";
import { LinkBroken } from "./wire.js";

export const FIRST_PAUSE_MS = 100;
export const LONGEST_PAUSE_MS = 1000;

/** Pauses that double from 100 ms to 1 s, each shortened at random by up to a fifth so that a fleet spreads out. */
export class Backoff {
  private pause = FIRST_PAUSE_MS;

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const pause = this.pause;
    this.pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    return pause * (1 - 0.2 * Math.random());
  }

  reset(): void {
    this.pause = FIRST_PAUSE_MS;
  }
}

/** UNAVAILABLE: nobody answered at `address` for `milliseconds`; `detail` is the last thing heard of the connection. */
export function unavailable(address: string, milliseconds: number, detail: string): SkeinError {
  const waited = (milliseconds / 1000).toFixed(1);
  const advice =
    "check that the service runs there, that the address is right and that the network lets it through";
  return new SkeinError(
    "UNAVAILABLE",
    `nobody answered at ${address} for ${waited} s (${detail}): ${advice}`,
  );
}

/** UNAVAILABLE: this side has closed the connection itself. */
export function closedHere(address: string): SkeinError {
  return new SkeinError("UNAVAILABLE", `this side has closed its connection to ${address}`);
}

/**
 * Repeats `attempt` while it rejects LinkBroken, for `reconnectSeconds`; then throws UNAVAILABLE. An attempt gets
 * the time (performance.now() milliseconds) by which it must have a connection. Any other error passes at once.
 */
export async function persist<T>(
  address: string,
  reconnectSeconds: number,
  closed: AbortSignal,
  attempt: (connectBy: number) => Promise<T>,
): Promise<T> {
  // One listener for every call that waits: an actor has some for each of its threads.
  setMaxListeners(0, closed);
  const started = performance.now();
  const connectBy = started + 1000 * reconnectSeconds;
  const backoff = new Backoff();
  for (;;) {
    if (closed.aborted) throw closedHere(address);
    try {
      return await attempt(connectBy);
    } catch (error) {
      if (closed.aborted) throw closedHere(address);
      if (!(error instanceof LinkBroken)) throw error;
      const now = performance.now();
      if (now >= connectBy) throw unavailable(address, now - started, error.message);
      await sleep(Math.min(backoff.next(), connectBy - now), undefined, { signal: closed }).catch(
        () => undefined,
      );
    }
  }
}
