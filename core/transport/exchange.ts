/** One attempt at a short stream: write everything, hear everything, end. */
import { toSkeinError, type SkeinError } from "../errors.js";
import { LinkBroken, noAnswer, type Wire } from "./wire.js";

export interface ExchangeLimits {
  /** Seconds the stream may stand still. */
  readonly stallSeconds: number;
  /** performance.now() milliseconds by which the other side must have accepted the stream. */
  readonly connectBy: number;
}

/**
 * Resolves when the other side ends in good order. Rejects LinkBroken where trying again may help, UNAVAILABLE where
 * nothing moved for `stallSeconds`, and otherwise with what the other side or `onMessage` threw.
 */
export function exchange(
  wire: Wire,
  method: string,
  outgoing: Iterable<Uint8Array>,
  onMessage: (bytes: Uint8Array) => void,
  limits: ExchangeLimits,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let open = false;
    const unwritten = outgoing[Symbol.iterator]();
    let timer: NodeJS.Timeout | undefined;
    const settle = (error: LinkBroken | SkeinError | null): void => {
      clearTimeout(timer);
      if (error === null) resolve();
      else reject(error);
    };
    const abandon = (error: LinkBroken | SkeinError): void => {
      stream.cancel();
      settle(error);
    };
    const progress = (): void => {
      clearTimeout(timer);
      const stall = 1000 * limits.stallSeconds;
      const limit = open ? stall : Math.min(stall, Math.max(0, limits.connectBy - performance.now()));
      timer = setTimeout(() => {
        abandon(open ? noAnswer(wire.address, method, limits.stallSeconds) : new LinkBroken("no connection"));
      }, limit);
    };
    const pump = (): void => {
      for (let next = unwritten.next(); next.done !== true; next = unwritten.next()) {
        if (!stream.write(next.value)) return;
      }
      stream.end();
    };
    const stream = wire.open(method, {
      onOpen: () => {
        open = true;
        progress();
      },
      onMessage: (bytes) => {
        progress();
        try {
          onMessage(bytes);
        } catch (error) {
          abandon(toSkeinError(error));
        }
      },
      onDrain: () => {
        progress();
        pump();
      },
      onEnd: settle,
    });
    progress();
    pump();
  });
}
