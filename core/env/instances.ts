/** Something done with many instances of an environment at once, and what becomes of those that fail. */
import { SkeinError, toSkeinError } from "../errors.js";

export type Awaitable<T> = T | Promise<T>;

export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === "function";
}

/** Some instances failed, the others are where they should be. Reads like the first failure. */
export class InstanceFailures extends SkeinError {
  /** By instance; at least one. */
  constructor(readonly failures: ReadonlyMap<number, SkeinError>) {
    const [first] = failures.values();
    super(first?.code ?? "INTERNAL", first?.message ?? "no instance failed", { cause: first?.cause });
  }
}

/**
 * Runs `act` for 0 … count−1, all at once, and waits for all of them; a promise only where some `act` gave one. Throws
 * InstanceFailures once every `act` has ended.
 */
export function forEachInstance(count: number, act: (i: number) => Awaitable<void>): Awaitable<void> {
  const pending: Promise<void>[] = [];
  const failures = new Map<number, SkeinError>();
  const fail = (i: number, error: unknown): void => void failures.set(i, toSkeinError(error));
  for (let i = 0; i < count; i++) {
    try {
      const running = act(i);
      if (isPromise(running)) pending.push(running.catch((error: unknown) => fail(i, error)));
    } catch (error) {
      fail(i, error);
    }
  }
  const end = (): void => {
    if (failures.size > 0) throw new InstanceFailures(failures);
  };
  if (pending.length > 0) return Promise.all(pending).then(end);
  end();
}
