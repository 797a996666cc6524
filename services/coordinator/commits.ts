/**
 * Patience with the disk: a transaction that finds it full is tried again, and its caller waits for an answer
 * meanwhile, as for a coordinator that is being restarted. Services give up after `transport.reconnectSeconds`; so
 * does this.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../core/errors.js";
import type { NoticeEvent } from "../../core/progress.js";
import { isUnavailable, type Store } from "./store.js";

const RETRY_MS = 250;

export interface CommitsOptions {
  readonly patienceSeconds: number;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  readonly notice: (event: NoticeEvent) => void;
}

export class Commits {
  /** Rejects once the file could not be written for `patienceSeconds`; never resolves. */
  readonly failed: Promise<never>;
  private fail: (error: unknown) => void = () => undefined;
  private stalledSince: number | null = null;

  constructor(
    private readonly store: Store,
    private readonly options: CommitsOptions,
  ) {
    this.failed = new Promise((_, reject) => (this.fail = reject));
    this.failed.catch(() => undefined);
  }

  /** What `work` gives, once it is written down. Throws what `work` throws, BOOKS_UNAVAILABLE only in the end. */
  async make<T>(work: () => T): Promise<T> {
    for (;;) {
      const made = this.attempt(work);
      if (made !== null) return made.value;
      await sleep(RETRY_MS);
    }
  }

  /** One attempt; null where the disk did not let it. */
  attempt<T>(work: () => T): { readonly value: T } | null {
    try {
      const value = this.store.transaction(work);
      this.recovered();
      return { value };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.stalled(error);
      return null;
    }
  }

  private stalled(error: unknown): void {
    const { now, notice, patienceSeconds } = this.options;
    if (this.stalledSince === null) {
      this.stalledSince = now();
      const message = `${messageOf(error)}; the run waits, for ${patienceSeconds} s at most`;
      notice({ event: "notice", level: "error", code: "BOOKS_UNAVAILABLE", message });
    } else if (now() - this.stalledSince > 1000 * patienceSeconds) {
      this.fail(error);
      throw error;
    }
  }

  private recovered(): void {
    if (this.stalledSince === null) return;
    this.stalledSince = null;
    this.options.notice({ event: "notice", level: "info", message: "the books can be written again" });
  }
}
