/** One rollout thread as the actor's main thread sees it: collect a fragment, take weights, end. */
import { once } from "node:events";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { RolloutRequest, WeightsSnapshot } from "../../core/types.js";
import type { FromThread, ThreadStart, ToThread } from "./messages.js";

export type Fragment = Extract<FromThread, { kind: "fragment" }>;

export class Seat {
  /** Rejects when the thread fails or dies; resolves when it has ended as told. */
  readonly ended: Promise<void>;

  private constructor(
    readonly seat: number,
    private readonly port: MessagePort,
    task: Promise<unknown>,
  ) {
    this.ended = task.then(
      () => undefined,
      (error: unknown) => {
        throw new SkeinError("INTERNAL", `rollout thread ${seat} died: ${String(error)}`, { cause: error });
      },
    );
    this.ended.catch(() => undefined);
  }

  /** Starts the thread; resolves when its environment and engine are ready. */
  static async start(pool: Piscina, config: RunConfig, seat: number): Promise<Seat> {
    const { port1, port2 } = new MessageChannel();
    const start: ThreadStart = { port: port2, config, seat };
    const task = pool.run(start, { transferList: [port2] }) as Promise<unknown>;
    const self = new Seat(seat, port1, task);
    await self.answer("ready");
    return self;
  }

  give(weights: WeightsSnapshot): void {
    this.tell({ kind: "weights", weights });
  }

  async collect(request: RolloutRequest, weights: WeightsSnapshot | null): Promise<Fragment> {
    this.tell({ kind: "collect", request, weights });
    return this.answer("fragment");
  }

  async stop(): Promise<void> {
    this.tell({ kind: "stop" });
    await this.ended;
    this.port.close();
  }

  private tell(message: ToThread): void {
    this.port.postMessage(message);
  }

  /** The next message, which must be of `kind`; a failure is thrown with its code. */
  private async answer<K extends FromThread["kind"]>(kind: K): Promise<Extract<FromThread, { kind: K }>> {
    const silent = this.ended.then(() => {
      throw new SkeinError("INTERNAL", `rollout thread ${this.seat} ended without an answer`);
    });
    silent.catch(() => undefined);
    // A thread that fails says so before it ends: the message wins the race.
    const [message] = (await Promise.race([once(this.port, "message"), silent])) as [FromThread];
    if (message.kind === "failed") throw new SkeinError(message.code, message.message);
    if (message.kind !== kind)
      throw new SkeinError("INTERNAL", `rollout thread: expected ${kind}, got ${message.kind}`);
    return message as Extract<FromThread, { kind: K }>;
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
  const pool = new Piscina({
    filename: new URL("./rollout-thread.js", import.meta.url).href,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
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
