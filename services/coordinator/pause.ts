/** No work for a while. Always: it ends by itself, whatever becomes of who asked for it, and outlives a restart. */
import type { NoticeEvent } from "../../core/progress.js";
import { SkeinError } from "../../core/errors.js";
import type { RunState } from "./run-state.js";
import type { Store } from "./store.js";

const LONGEST_SECONDS = 86_400;
const LONGEST_REASON = 200;

export class Pause {
  /** Milliseconds of the clock. */
  private until: number;

  /** `now` in milliseconds of a steady clock. Goes on with what an earlier life has left of a pause. */
  constructor(
    private readonly store: Store,
    private readonly run: RunState,
    private readonly now: () => number,
    private readonly notice: (event: NoticeEvent) => void,
  ) {
    this.until = now() + 1000 * run.now.pausedSeconds;
  }

  get secondsLeft(): number {
    return Math.max(0, (this.until - this.now()) / 1000);
  }

  get paused(): boolean {
    return this.secondsLeft > 0;
  }

  /** Part of a transaction. Throws REFUSED for no time at all, or more than a day. */
  begin(seconds: number, reason: string): void {
    if (!(seconds > 0 && seconds <= LONGEST_SECONDS)) {
      throw new SkeinError(
        "REFUSED",
        `pause: expected more than 0 and at most ${LONGEST_SECONDS} seconds, got ${seconds}; pause again before it ends`,
      );
    }
    this.run.set({ pausedSeconds: seconds });
    this.store.afterCommit(() => (this.until = this.now() + 1000 * seconds));
    this.say(`paused for ${seconds} s${reason === "" ? "" : `: ${reason.slice(0, LONGEST_REASON)}`}`);
  }

  /** Part of a transaction. */
  end(): void {
    if (this.run.now.pausedSeconds === 0) return;
    this.run.set({ pausedSeconds: 0 });
    this.store.afterCommit(() => (this.until = this.now()));
    this.say("work is handed out again");
  }

  /** Part of a transaction: writes down what is left, in whole seconds. */
  tick(): void {
    if (this.run.now.pausedSeconds === 0) return;
    const left = Math.ceil(this.secondsLeft);
    if (left === 0) this.end();
    else if (left < this.run.now.pausedSeconds) this.run.set({ pausedSeconds: left });
  }

  private say(message: string): void {
    this.store.afterCommit(() => this.notice({ event: "notice", level: "info", message }));
  }
}
