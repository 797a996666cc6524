/** Events, a stream and a clock for the view tests. */
import type { FinishedEvent, NoticeEvent, ProgressEvent } from "../../core/progress.js";
import type { Clock } from "../../cli/view/clock.js";
import { initialState, nextState, type ViewState } from "../../cli/view/state.js";
import type { RunHeader } from "../../cli/view/view.js";

export const header: RunHeader = {
  runName: "cartpole",
  environment: "CartPole-v1",
  recipe: "ppo",
  engine: "tfjs:wasm",
  seed: 11,
  runFolder: "runs/cartpole-20250801-101500",
  stopEnvSteps: 200_000,
  stopMeanReturn: 475,
};

export function progress(changes: Partial<ProgressEvent> = {}): ProgressEvent {
  return {
    event: "progress",
    envSteps: 143_360,
    envStepsPerSecond: 6702.4,
    updates: 5601,
    updatesPerSecond: 26.24,
    policyVersion: 141,
    policyLagMean: 0.96,
    policyLagMax: 2,
    episodes: 1120,
    meanReturn100: 476.24,
    actors: 4,
    wallSeconds: 21.4,
    etaSeconds: 8.2,
    stats: { policyLoss: -0.0123, valueLoss: 31.24, entropy: 0.523, klK3: 0.0082, clipFraction: 0.121 },
    ...changes,
  };
}

export function finished(changes: Partial<FinishedEvent> = {}): FinishedEvent {
  return {
    event: "finished",
    reason: "solved",
    envSteps: 143_360,
    updates: 5601,
    wallSeconds: 21.4,
    meanReturn100: 476.24,
    policyVersion: 141,
    ...changes,
  };
}

export function notice(message: string, changes: Partial<NoticeEvent> = {}): NoticeEvent {
  return { event: "notice", level: "info", message, ...changes };
}

/** The state after `count` progress events whose return rises to 476.24 at the last. */
export function stateAfter(count: number): ViewState {
  let state = initialState(header);
  for (let i = 1; i <= count; i++) {
    const share = i / count;
    state = nextState(
      state,
      progress({ envSteps: Math.round(143_360 * share), meanReturn100: 476.24 * share }),
    );
  }
  return state;
}

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  private time = 0;
  private timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.time + milliseconds, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.timers.length;
  }

  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = due.at;
      due.run();
    }
    this.time = end;
  }
}
