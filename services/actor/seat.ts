/** One rollout thread as the actor's main thread sees it: collect a fragment, take weights, end. */
import type { Piscina } from "piscina";
import type { RunConfig } from "../../core/config/schema.js";
import { ThreadLine, threadPool } from "../../core/threads/line.js";
import type { RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import type { FromThread, ToThread } from "./messages.js";

export type Fragment = Extract<FromThread, { kind: "fragment" }>;

export class Seat {
  private constructor(
    readonly seat: number,
    /** The engine that runs, and on what. */
    readonly engine: string,
    readonly engineDetail: string,
    private readonly line: ThreadLine<ToThread, FromThread>,
  ) {}

  /** Starts the thread; resolves when its environment and engine are ready. */
  static async start(pool: Piscina, config: RunConfig, seat: number): Promise<Seat> {
    const name = `rollout thread ${seat}`;
    const { line, ready } = await ThreadLine.start<ToThread, FromThread>(pool, name, { config, seat });
    return new Seat(seat, ready.engine, ready.detail, line);
  }

  give(weights: WeightsSnapshot): void {
    this.line.tell({ kind: "weights", weights });
  }

  collect(request: RolloutRequest, weights: WeightsSnapshot | null): Promise<Fragment> {
    return this.line.ask({ kind: "collect", request, weights }, "fragment");
  }

  stop(): Promise<void> {
    return this.line.stop();
  }
}

/** The seats of one actor process and the pool of threads they run on. */
export interface Seats {
  readonly all: readonly Seat[];
  /** Ends the threads in order; they must be idle. */
  stop(): Promise<void>;
  /** Ends the threads at once. */
  close(): Promise<void>;
}

/** Starts a thread for each seat of the actor at place `index`; rejects where one of them fails to start. */
export async function startSeats(config: RunConfig, index: number): Promise<Seats> {
  const { threads } = config.actors;
  const pool = threadPool(new URL("./rollout-thread.js", import.meta.url), threads);
  try {
    const numbers = Array.from({ length: threads }, (_, k) => index * threads + k);
    const all = await Promise.all(numbers.map((number) => Seat.start(pool, config, number)));
    return {
      all,
      stop: async () => {
        await Promise.all(all.map((seat) => seat.stop()));
      },
      close: () => pool.destroy(),
    };
  } catch (error) {
    await pool.destroy();
    throw error;
  }
}
