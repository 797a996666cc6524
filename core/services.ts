/** What every service is given by the process it runs in. */
import type { RunEvent } from "./progress.js";

export interface ServiceHost {
  /** Aborts when the process is asked to stop: finish what runs, start nothing new, leave. */
  readonly signal: AbortSignal;
  readonly emit: (event: RunEvent) => void;
}

/** Seconds of a steady clock. */
export function steadySeconds(): number {
  return performance.now() / 1000;
}

/** Things to take down, newest first, each even where another failed. */
export class Teardown {
  private readonly steps: (() => Promise<void>)[] = [];

  add<T extends { close(): void | Promise<void> }>(thing: T): T {
    this.steps.push(async () => thing.close());
    return thing;
  }

  async run(): Promise<void> {
    const errors: unknown[] = [];
    for (const step of this.steps.reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
