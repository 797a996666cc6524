/** One rollout thread as the actor's main thread sees it: collect, take weights, end. */
import type { Piscina } from "piscina";
import type { RunConfig } from "../../core/config/schema.js";
import { ThreadLine, threadPool } from "../../core/threads/line.js";
import type { RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import type { Assignment, FromThread, ToThread } from "./messages.js";

type Answer<K extends FromThread["kind"]> = Extract<FromThread, { kind: K }>;

export class Seat {
  private busy = false;

  private constructor(
    readonly seat: number,
    /** The engine that runs, and on what. */
    readonly engine: string,
    readonly engineDetail: string,
    private readonly steps: Uint32Array,
    private readonly line: ThreadLine<ToThread, FromThread>,
  ) {}

  /** Starts the thread; resolves when its environment and engine are ready. */
  static async start(pool: Piscina, config: RunConfig, seat: number): Promise<Seat> {
    const { environments } = config.actors;
    const steps = new Uint32Array(new SharedArrayBuffer(environments * Uint32Array.BYTES_PER_ELEMENT));
    const name = `rollout thread ${seat}`;
    const { line, ready } = await ThreadLine.start<ToThread, FromThread>(pool, name, { config, steps });
    return new Seat(seat, ready.engine, ready.detail, steps, line);
  }

  /** Environment instances. */
  get instances(): number {
    return this.steps.length;
  }

  /** Steps so far of the episode in instance i; of a fragment, in i = 0. */
  stepsOf(i: number): number {
    return Atomics.load(this.steps, i);
  }

  give(weights: WeightsSnapshot): void {
    this.line.tell({ kind: "weights", weights });
  }

  collect(request: RolloutRequest, weights: WeightsSnapshot | null): Promise<Answer<"fragment">> {
    return this.ask({ kind: "collect", request, weights }, "fragment");
  }

  /** Begins the assignments and plays on; answers after an end, or a moment. */
  play(assignments: readonly Assignment[]): Promise<Answer<"played">> {
    return this.ask({ kind: "play", assignments }, "played");
  }

  /** Ends the thread in order where it is idle. */
  async stop(): Promise<void> {
    if (!this.busy) await this.line.stop();
  }

  private async ask<K extends FromThread["kind"]>(message: ToThread, kind: K): Promise<Answer<K>> {
    this.busy = true;
    const answer = await this.line.ask(message, kind);
    this.busy = false;
    return answer;
  }
}

/** The seats of one actor process and the pool of threads they run on. */
export interface Seats {
  readonly all: readonly Seat[];
  /** Ends the idle threads in order. */
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
