/**
 * Actors without environments, many in one process: they register, beat, ask for work and take weights, as real ones
 * do, and time their calls. Started by fleet.ts, which it speaks to in lines: `ready`, requests granted, latencies.
 */
import { setMaxListeners } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { runConfigSchema } from "../core/config/schema.js";
import { OPEN } from "../core/security/credentials.js";
import { createTransport } from "../core/transport/create.js";
import type { Closable, Control, RegisterReply, Transport } from "../core/transport/transport.js";

export interface LightActorOptions {
  readonly coordinator: string;
  /** Number of the first actor. */
  readonly first: number;
  readonly actors: number;
  /** Between two requests for work of one actor. */
  readonly fragmentSeconds: number;
}

/** Milliseconds by call. */
export type Latencies = Record<"register" | "heartbeat" | "acquire" | "weights", number[]>;

/** A line to fleet.ts. */
export type LightActorLine =
  | { readonly is: "ready" }
  | { readonly is: "granted"; readonly requestIds: readonly number[] }
  | { readonly is: "done"; readonly latencies: Latencies };

const GRANTS_TOLD_MS = 250;
/** Registering in a burst is another question than serving a fleet. */
const REGISTERED_AT_ONCE = 50;

const say = (line: LightActorLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** To end very many waits at once. */
function endless(): AbortController {
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  return over;
}

/** What all actors of this process share. */
class Fleet {
  latencies: Latencies = { register: [], heartbeat: [], acquire: [], weights: [] };
  granted: number[] = [];
  readonly over = endless();

  constructor(
    readonly options: LightActorOptions,
    readonly transport: Transport,
  ) {}

  /** What was timed until now does not count. */
  begin(): void {
    this.latencies = { register: this.latencies.register, heartbeat: [], acquire: [], weights: [] };
  }

  async timed<T>(call: keyof Latencies, work: () => Promise<T>): Promise<T> {
    const from = performance.now();
    const result = await work();
    this.latencies[call].push(performance.now() - from);
    return result;
  }
}

class LightActor {
  private version = -1;
  private hash = "";

  private constructor(
    private readonly fleet: Fleet,
    private readonly control: Control & Closable,
    private readonly lease: RegisterReply,
  ) {}

  static async register(fleet: Fleet, number: number): Promise<LightActor> {
    const control = fleet.transport.connectControl(fleet.options.coordinator);
    const name = `light-${number}`;
    const request = { role: "actor" as const, name, index: null, dataAddress: "" };
    const lease = await fleet.timed("register", () =>
      control.register({ ...request, incarnation: name, policyVersion: 0 }),
    );
    return new LightActor(fleet, control, lease);
  }

  async live(): Promise<void> {
    await Promise.all([this.beat(), this.work(), this.follow()]);
    await this.control.close();
  }

  private async beat(): Promise<void> {
    const { leaseId, heartbeatSeconds } = this.lease;
    await this.every(heartbeatSeconds, () =>
      this.fleet.timed("heartbeat", () =>
        this.control.heartbeat({
          leaseId,
          appliedVersion: this.version,
          appliedHash: this.hash,
          running: [],
        }),
      ),
    );
  }

  private async work(): Promise<void> {
    const { leaseId, index: seat } = this.lease;
    let lastRequestId = 0;
    await this.every(this.fleet.options.fragmentSeconds, async () => {
      const { requests } = await this.fleet.timed("acquire", () =>
        this.control.acquire({ leaseId, seat, capacity: 1, lastRequestId, failed: [] }),
      );
      for (const { requestId } of requests) {
        lastRequestId = Math.max(lastRequestId, requestId);
        this.fleet.granted.push(requestId);
      }
    });
  }

  private async follow(): Promise<void> {
    const { signal } = this.fleet.over;
    for await (const news of this.control.watchWeights({ afterVersion: -1, relayAddress: "" }, signal)) {
      const { version, rootHash } = news;
      const base = this.version < 0 ? null : this.version;
      await this.fleet.timed("weights", () => this.control.fetchWeights({ version, oldest: version, base }));
      this.version = version;
      this.hash = rootHash;
    }
  }

  /** Spread evenly: actors do not act in step. */
  private async every(seconds: number, act: () => Promise<unknown>): Promise<void> {
    const { signal } = this.fleet.over;
    const wait = (part: number): Promise<unknown> =>
      pause(1000 * seconds * part, undefined, { signal }).catch(() => undefined);
    await wait((this.lease.index % 97) / 97);
    while (!signal.aborted) {
      const from = performance.now();
      await act();
      await wait(Math.max(0, 1 - (performance.now() - from) / (1000 * seconds)));
    }
  }
}

async function main(options: LightActorOptions): Promise<void> {
  const transport = createTransport(runConfigSchema.shape.transport.parse({}), OPEN);
  const fleet = new Fleet(options, transport);
  const lives: Promise<void>[] = [];
  for (let from = 0; from < options.actors; from += REGISTERED_AT_ONCE) {
    const count = Math.min(REGISTERED_AT_ONCE, options.actors - from);
    const numbers = Array.from({ length: count }, (_, k) => options.first + from + k);
    const actors = await Promise.all(numbers.map((number) => LightActor.register(fleet, number)));
    lives.push(...actors.map((actor) => actor.live()));
  }
  const telling = setInterval(
    () => say({ is: "granted", requestIds: fleet.granted.splice(0) }),
    GRANTS_TOLD_MS,
  );
  say({ is: "ready" });
  for await (const order of createInterface({ input: process.stdin })) {
    if (order === "begin") fleet.begin();
    if (order === "end") break;
  }
  const { latencies } = fleet;
  fleet.over.abort();
  clearInterval(telling);
  say({ is: "done", latencies });
  await Promise.allSettled(lives);
  await transport.close();
}

await main(JSON.parse(process.argv[2] ?? "{}") as LightActorOptions);
